module gohttp-benches/go

go 1.24
