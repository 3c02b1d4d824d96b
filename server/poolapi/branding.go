package poolapi

func brandingOperations() []operation {
	return []operation{
		later("GetUICustomization", admin),
		later("SetUICustomization", admin),
	}
}
