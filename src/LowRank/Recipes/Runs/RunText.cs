namespace LowRank.Recipes.Runs;

/// <summary>A text that the model wrote while it was trained.</summary>
/// <param name="Step">Optimizer steps taken by then.</param>
/// <param name="Prompt">What it went on with; empty where the run does not say.</param>
/// <param name="Text">What it wrote.</param>
public sealed record RunText(long Step, string Prompt, string Text);
