// Command go ADDRESS hello|work serves the matrix's answers with Go's net/http.
package main

import (
	"bytes"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
)

var (
	hello = []byte("Hello, world.\n")
	big   = bytes.Repeat([]byte("x"), 100*1024)
)

func writeHello(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain")
	w.Write(hello)
}

func writeBig(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.Itoa(len(big)))
	w.Write(big)
}

func echo(w http.ResponseWriter, r *http.Request) {
	body := bytes.NewBuffer(make([]byte, 0, max(r.ContentLength, 0)+bytes.MinRead))
	if _, err := io.Copy(body, r.Body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.Itoa(body.Len()))
	w.Write(body.Bytes())
}

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: go ADDRESS hello|work")
	}
	http.HandleFunc("/", writeHello)
	if os.Args[2] == "work" {
		http.HandleFunc("/echo", echo)
		http.HandleFunc("/big", writeBig)
	}
	server := http.Server{Addr: os.Args[1], Protocols: new(http.Protocols)}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true) // by prior knowledge
	log.Fatal(server.ListenAndServe())
}
