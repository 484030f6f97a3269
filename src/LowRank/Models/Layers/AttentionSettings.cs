namespace LowRank.Models.Layers;

/// <summary>How one layer attends.</summary>
/// <param name="Layer">The layer's number, for the cache.</param>
/// <param name="Window">How many positions back it attends including its own (to either side in an encoder); null for all.</param>
/// <param name="Scale">What scores are multiplied by; null for 1/√(head width).</param>
/// <param name="Softcap">The cap of scores; null for none.</param>
/// <param name="Dropout">Share of attention weights dropped while training.</param>
/// <param name="UsesLocalRope">Whether it turns by the local rotary settings.</param>
public sealed record AttentionSettings(int Layer, int? Window = null, double? Scale = null, double? Softcap = null, double Dropout = 0, bool UsesLocalRope = false);
