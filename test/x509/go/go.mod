module spire-mesh/test/x509

go 1.21
