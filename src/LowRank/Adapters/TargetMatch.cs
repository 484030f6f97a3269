namespace LowRank.Adapters;

/// <summary>What a config selects in a model.</summary>
/// <param name="Targets">The modules to adapt, in the model's order; at least one.</param>
/// <param name="Resolved">The config to save, as PEFT would: a default and "all-linear" replaced by names, twenty or more
/// names replaced by the shortest endings that select the same, <c>fan_in_fan_out</c> as the modules need it; names sorted
/// where the adapter is new.</param>
/// <param name="Warnings">What PEFT passes over in silence and the user should know.</param>
public sealed record TargetMatch(IReadOnlyList<LoraTarget> Targets, LoraConfig Resolved, IReadOnlyList<string> Warnings);
