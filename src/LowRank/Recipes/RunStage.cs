namespace LowRank.Recipes;

/// <summary>A step in preparing a run, and its duration.</summary>
/// <param name="Name">The step, such as "model".</param>
/// <param name="Elapsed">Its duration.</param>
internal sealed record RunStage(string Name, TimeSpan Elapsed);
