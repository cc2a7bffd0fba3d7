/** Rate: events per second over the last seconds, in buckets of one second, so that a flood costs no memory. */

const SECONDS = 5;

export class Rate {
  #buckets = new Array(SECONDS).fill(0);
  #second = 0;

  /** @param {number} time  milliseconds; what is older than the window does not count @param {number} now */
  add(time, now) {
    this.#move(now);
    const age = this.#second - Math.floor(time / 1000);
    if (age < SECONDS) this.#buckets[Math.max(age, 0)] += 1;
  }

  /** @param {number} now */
  perSecond(now) {
    this.#move(now);
    return this.#buckets.reduce((sum, count) => sum + count, 0) / SECONDS;
  }

  /** @param {number} now */
  #move(now) {
    const second = Math.floor(now / 1000);
    const steps = Math.min(Math.max(second - this.#second, 0), SECONDS);
    for (let step = 0; step < steps; step += 1) {
      this.#buckets.pop();
      this.#buckets.unshift(0);
    }
    this.#second = Math.max(second, this.#second);
  }
}
