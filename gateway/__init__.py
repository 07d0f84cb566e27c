"""The platform's edge: REST over HTTP/1.1 to the services behind it. It knows no centre."""
