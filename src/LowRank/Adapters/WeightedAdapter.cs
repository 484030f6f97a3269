namespace LowRank.Adapters;

/// <summary>An adapter and the share of its changes that is applied.</summary>
/// <param name="Adapter">The adapter.</param>
/// <param name="Weight">The share; 1 is the adapter as it was trained.</param>
public sealed record WeightedAdapter(Adapter Adapter, double Weight = 1);
