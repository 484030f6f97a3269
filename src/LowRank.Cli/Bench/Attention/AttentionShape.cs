namespace LowRank.Cli.Bench.Attention;

/// <summary>What one attention call is over.</summary>
/// <param name="Name">What it is like.</param>
/// <param name="Rows">Rows of the batch; 1 where texts are packed.</param>
/// <param name="Tokens">Tokens of a row.</param>
/// <param name="Heads">Query heads.</param>
/// <param name="KeyValueHeads">Key-value heads.</param>
/// <param name="Dimension">Width of a head.</param>
/// <param name="Window">How many positions back is seen; null for all.</param>
/// <param name="Prompts">Packed texts: how many prompts; 0 where rows are not packed.</param>
/// <param name="PromptTokens">Tokens of a prompt.</param>
/// <param name="Completions">Completions of a prompt.</param>
/// <param name="CompletionTokens">Tokens of a completion.</param>
internal sealed record AttentionShape(string Name, int Rows, int Tokens, int Heads, int KeyValueHeads, int Dimension, int? Window = null,
    int Prompts = 0, int PromptTokens = 0, int Completions = 0, int CompletionTokens = 0)
{
    /// <summary>The shapes that are measured.</summary>
    public static IReadOnlyList<AttentionShape> All { get; } =
    [
        new("a step of gpt2-small", 4, 256, 12, 12, 64),
        new("short rows", 64, 4, 12, 12, 64),
        new("rows of 32", 16, 32, 12, 12, 64),
        new("rows of 1024", 1, 1024, 12, 12, 64),
        new("rows of 2048", 1, 2048, 12, 12, 64),
        new("grouped heads", 2, 512, 32, 8, 64),
        new("wide heads", 2, 512, 16, 4, 128),
        new("a window", 1, 2048, 12, 12, 64, Window: 256),
        new("the embedded base", 8, 128, 6, 3, 32),
        Packed("packed texts", 16, 0, 1, 40),
        Packed("shared prompts", 2, 40, 8, 24),
    ];

    private static AttentionShape Packed(string name, int prompts, int promptTokens, int completions, int completionTokens) =>
        new(name, 1, prompts * (promptTokens + completions * completionTokens), 12, 12, 64, null, prompts, promptTokens, completions, completionTokens);
}
