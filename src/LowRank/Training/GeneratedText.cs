namespace LowRank.Training;

/// <summary>A text that the model wrote at an evaluation.</summary>
/// <param name="Prompt">What it went on with.</param>
/// <param name="Text">What it wrote, without the prompt.</param>
public sealed record GeneratedText(string Prompt, string Text);
