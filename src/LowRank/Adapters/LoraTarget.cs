namespace LowRank.Adapters;

/// <summary>A module to adapt.</summary>
/// <param name="Path">The module's path.</param>
/// <param name="Rank">The rank of its pair.</param>
/// <param name="Alpha">The alpha that holds for it.</param>
/// <param name="Scale">The factor s of the delta s·B·A: alpha/rank, or alpha/√rank with rsLoRA.</param>
public sealed record LoraTarget(string Path, int Rank, double Alpha, double Scale);
