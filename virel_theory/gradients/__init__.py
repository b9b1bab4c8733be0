"""Derivatives of policies, residuals and objectives, and the tangent projection of App. F.1."""
