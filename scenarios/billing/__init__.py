"""Billing: orders in, invoices out, each order on one invoice, by transactions."""
