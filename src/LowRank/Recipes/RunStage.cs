namespace LowRank.Recipes;

/// <summary>A part of making a run ready, and how long it took.</summary>
/// <param name="Name">What was done, such as "model".</param>
/// <param name="Elapsed">Its time.</param>
public sealed record RunStage(string Name, TimeSpan Elapsed);
