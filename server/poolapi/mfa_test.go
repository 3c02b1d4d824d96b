package poolapi_test

func mfaContracts() map[string]contract {
	return map[string]contract{}
}
