namespace LowRank.Adapters.Methods.Prompts;

/// <summary>Trained vectors in the place of embedded tokens before every text.</summary>
public sealed class PromptTuningMethod : IAdapterMethod
{
    /// <inheritdoc/>
    public string Name => "prompt_tuning";

    /// <inheritdoc/>
    public string Title => "prompt tuning";

    /// <inheritdoc/>
    public string Paper => "arXiv 2104.08691";

    /// <inheritdoc/>
    public string Summary => "Trained vectors in the place of embedded tokens before every text; decoders only, nothing to merge.";

    /// <inheritdoc/>
    public IReadOnlyList<string> Keys => [];

    /// <inheritdoc/>
    public IReadOnlyList<MethodOption> Options { get; } =
    [
        new("virtual_tokens", 20, "how many vectors") { Least = 1, Most = int.MaxValue },
        new("initial", "sample_vocab", "where they begin: at random tokens of the vocabulary, at those of initial_text, or anywhere") { Choices = ["sample_vocab", "text", "random"] },
        new("initial_text", null, "the text of initial: text")
        {
            Unless = options => options.Text("initial") == "text" ? null : $"has no effect with initial: {options.Text("initial")}; remove it, or set initial: text",
        },
    ];

    /// <inheritdoc/>
    public double DefaultLearningRate => 3e-2;

    /// <inheritdoc/>
    public LoraConfig Configure(LoraConfig shared, MethodOptions options) => shared with
    {
        PeftType = "PROMPT_TUNING",
        OtherKeys = OwnKeys.With(shared, ("num_virtual_tokens", options.Whole("virtual_tokens")), ("prompt_tuning_init", options.Text("initial")!.ToUpperInvariant()),
            ("prompt_tuning_init_text", options.Text("initial_text"))),
    };
}
