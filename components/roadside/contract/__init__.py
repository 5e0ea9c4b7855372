"""What gateways and cloud have agreed on: messages, topics, events and their errors.

Light on purpose (standard library and protobuf only), because every Lambda imports it at cold start.
"""
