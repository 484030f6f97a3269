namespace LowRank.Data.Chat;

/// <summary>A conversation as text.</summary>
/// <param name="Text">The text.</param>
/// <param name="TrainedSpans">Start and length, in UTF-16 characters, of what is learned of the assistant, its end-of-turn
/// token included; in the order of the text.</param>
public sealed record ChatText(string Text, IReadOnlyList<(int Start, int Length)> TrainedSpans);
