"""The dashboard: pages for people over what the endpoints and the command line do. It decides nothing by itself."""
