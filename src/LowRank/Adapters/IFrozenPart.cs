namespace LowRank.Adapters;

/// <summary>A part whose tensors are saved with the adapter but never trained.</summary>
public interface IFrozenPart : IAdapterPart;
