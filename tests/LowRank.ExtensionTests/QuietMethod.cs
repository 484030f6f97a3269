using LowRank.Adapters;

namespace LowRank.ExtensionTests;

/// <summary>A method of another program: LoRA of a rank that is always 3.</summary>
internal sealed record QuietMethod : IAdapterMethod
{
    public string Name => "quiet";

    public string Title => "Quiet";

    public string Paper => "none";

    public string Summary => "LoRA of rank 3, with half the changes.";

    public IReadOnlyList<string> Keys => AdapterMethods.TargetKeys;

    public IReadOnlyList<MethodOption> Options { get; } =
    [
        MethodOption.Create<QuietMethod, double>(
            "loudness", method => method.Loudness, (method, value) => method with { Loudness = value },
            "what changes are multiplied by") with { Most = 1 },
    ];

    public double Loudness { get; init; } = 0.5;

    public AdapterConfig Configure(LoraConfig shared) => shared with { Rank = 3, Alpha = 3 * Loudness };

    public ITrainingHooks Hooks(Adapter adapter) => new QuietHooks();
}

/// <summary>Counts the steps, and trains B alone.</summary>
internal sealed class QuietHooks : ITrainingHooks
{
    public static int Updates { get; set; }

    public bool Trains(string key) => key.Contains("lora_B", StringComparison.Ordinal);

    public void Start(long totalSteps, double learningRate) => Updates = 0;

    public void BeforeUpdate()
    {
        // Gradients are used unchanged.
    }

    public void AfterUpdate(long step) => Updates++;

    public void Dispose()
    {
        // No state.
    }
}
