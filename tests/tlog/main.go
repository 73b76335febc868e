// A client of transparency logs that shares no code with Bastide: the libraries with which Go checks its module
// database. It fetches a log by HTTP, believes its checkpoint by the key alone, and demands proofs.
//
//	tlogclient <base URL> <verifier key> <authorization header or ""> [<older checkpoint file>]
package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

var base, authorization string

func fetch(path string) []byte {
	request, err := http.NewRequest("GET", base+"/"+path, nil)
	check(err)
	if authorization != "" {
		request.Header.Set("Authorization", authorization)
	}
	response, err := http.DefaultClient.Do(request)
	check(err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	check(err)
	if response.StatusCode != 200 {
		check(fmt.Errorf("%s: %s", path, response.Status))
	}
	if cache := response.Header.Get("Cache-Control"); strings.HasPrefix(path, "tile/") && !strings.Contains(cache, "immutable") {
		check(fmt.Errorf("%s may be cached as %q", path, cache))
	}
	return body
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// open believes a checkpoint that the key has signed.
func open(text []byte, verifier note.Verifier) tlog.Tree {
	signed, err := note.Open(text, note.VerifierList(verifier))
	check(err)
	lines := strings.Split(signed.Text, "\n")
	if len(lines) != 4 || lines[0] != verifier.Name() {
		check(fmt.Errorf("not a checkpoint of %s: %q", verifier.Name(), signed.Text))
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	check(err)
	root, err := tlog.ParseHash(lines[2])
	check(err)
	return tlog.Tree{N: size, Hash: root}
}

// path is a tile's path in the layout of tlog-tiles, which has no height in it.
func path(tile tlog.Tile) string {
	text := strings.TrimPrefix(tile.Path(), "tile/8/")
	return "tile/" + strings.Replace(text, "data/", "entries/", 1)
}

type reader struct{}

func (reader) Height() int { return 8 }

func (reader) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, tile := range tiles {
		all = append(all, fetch(path(tile)))
	}
	return all, nil
}

func (reader) SaveTiles([]tlog.Tile, [][]byte) {}

func main() {
	base, authorization = os.Args[1], os.Args[3]
	verifier, err := note.NewVerifier(os.Args[2])
	check(err)
	tree := open(fetch("checkpoint"), verifier)
	// Every tile that is read is checked against the tree's root by the library itself.
	hashes := tlog.TileHashReader(tree, reader{})
	root, err := tlog.TreeHash(tree.N, hashes)
	check(err)
	if root != tree.Hash {
		check(fmt.Errorf("the tiles do not lead to the signed root"))
	}
	entries := int64(0)
	for at := int64(0); at < tree.N; at += 256 {
		width := tree.N - at
		if width > 256 {
			width = 256
		}
		data := fetch(path(tlog.Tile{H: 8, L: -1, N: at / 256, W: int(width)}))
		for n := at; n < at+width; n++ {
			length := binary.BigEndian.Uint16(data)
			entry := data[2 : 2+length]
			data = data[2+length:]
			leaf := tlog.RecordHash(entry)
			if n == 0 || n == tree.N-1 || n%97 == 0 {
				proof, err := tlog.ProveRecord(tree.N, n, hashes)
				check(err)
				check(tlog.CheckRecord(proof, tree.N, tree.Hash, n, leaf))
				wrong := tlog.RecordHash(append(append([]byte{}, entry...), 0))
				if tlog.CheckRecord(proof, tree.N, tree.Hash, n, wrong) == nil {
					check(fmt.Errorf("a wrong entry was accepted"))
				}
			}
			entries++
		}
		if len(data) != 0 {
			check(fmt.Errorf("entries are followed by something else"))
		}
	}
	if len(os.Args) > 4 {
		kept, err := os.ReadFile(os.Args[4])
		check(err)
		older := open(kept, verifier)
		proof, err := tlog.ProveTree(tree.N, older.N, hashes)
		check(err)
		check(tlog.CheckTree(proof, tree.N, tree.Hash, older.N, older.Hash))
		fmt.Printf("consistent with %d\n", older.N)
	}
	fmt.Printf("verified %d entries of %s\n", entries, verifier.Name())
}
