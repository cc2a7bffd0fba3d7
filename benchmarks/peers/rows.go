// Rows by Go's standard library: encoding/csv and encoding/json over net/http, nothing flushed by hand
// but csv.Writer's own buffer at the end. Usage: rows PORT FILE, where FILE has one JSON object a line.
package main

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"log"
	"net/http"
	"os"
	"strconv"
)

type order struct {
	ID       int64    `json:"id"`
	Customer string   `json:"customer"`
	Email    string   `json:"email"`
	Amount   float64  `json:"amount"`
	Note     string   `json:"note"`
	Placed   string   `json:"placed"`
	Discount *float64 `json:"discount"`
	Items    int64    `json:"items"`
}

var columns = []string{"id", "customer", "email", "amount", "note", "placed", "discount", "items"}

func load(path string) []order {
	file, err := os.Open(path)
	if err != nil {
		log.Fatal(err)
	}
	defer file.Close()
	var orders []order
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var one order
		if err := json.Unmarshal(lines.Bytes(), &one); err != nil {
			log.Fatal(err)
		}
		orders = append(orders, one)
	}
	return orders
}

func main() {
	orders := load(os.Args[2])
	http.HandleFunc("/csv", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/csv; charset=utf-8")
		writer := csv.NewWriter(w)
		writer.UseCRLF = true
		writer.Write(columns)
		record := make([]string, len(columns))
		for i := range orders {
			one := &orders[i]
			record[0] = strconv.FormatInt(one.ID, 10)
			record[1] = one.Customer
			record[2] = one.Email
			record[3] = strconv.FormatFloat(one.Amount, 'f', -1, 64)
			record[4] = one.Note
			record[5] = one.Placed
			record[6] = ""
			if one.Discount != nil {
				record[6] = strconv.FormatFloat(*one.Discount, 'f', -1, 64)
			}
			record[7] = strconv.FormatInt(one.Items, 10)
			if err := writer.Write(record); err != nil {
				return
			}
		}
		writer.Flush()
	})
	http.HandleFunc("/ndjson", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/x-ndjson")
		encoder := json.NewEncoder(w)
		for i := range orders {
			if err := encoder.Encode(&orders[i]); err != nil {
				return
			}
		}
	})
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Args[1], nil))
}
