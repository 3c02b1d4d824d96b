package poolapi

func resourceServerOperations() []operation {
	return []operation{
		later("CreateResourceServer", admin),
		later("DescribeResourceServer", admin),
		later("UpdateResourceServer", admin),
		later("DeleteResourceServer", admin),
		later("ListResourceServers", admin),
	}
}
