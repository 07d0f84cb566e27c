"""The store on MariaDB, MySQL or TiDB. Imported only where such a database is opened."""
