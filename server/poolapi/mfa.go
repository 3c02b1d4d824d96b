package poolapi

func mfaOperations() []operation {
	return []operation{
		later("GetUserPoolMfaConfig", admin),
		later("SetUserPoolMfaConfig", admin),
	}
}
