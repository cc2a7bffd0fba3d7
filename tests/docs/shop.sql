-- The shop of "Export rows".
create table orders (id integer primary key, customer text, total numeric, note text);
insert into orders values (1, 'Ada', 12.5, 'two pens, blue'), (2, 'Grace', -3, '=1+1'), (3, 'Edsger', 40, null);
create virtual table notes using fts5(note);
insert into notes (rowid, note) select id, note from orders where note is not null;
