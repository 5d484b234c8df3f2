"""The layer between the platform and every language model: routing, fallback, money, caches."""
