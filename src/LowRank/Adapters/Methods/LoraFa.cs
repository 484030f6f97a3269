using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Adapters;

/// <summary>LoRA that trains only B; A keeps its random initial values, which halves the number of trained
/// weights.</summary>
public sealed record LoraFaMethod : IAdapterMethod
{
    /// <inheritdoc/>
    public string Name => "lora_fa";

    /// <inheritdoc/>
    public string Title => "LoRA-FA";

    /// <inheritdoc/>
    public string Paper => "arXiv 2308.03303";

    /// <inheritdoc/>
    public string Summary => "LoRA that trains only B; A keeps its random initial values, which halves the number of " +
        "trained weights.";

    /// <inheritdoc/>
    public IReadOnlyList<string> Keys { get; } =
        [.. AdapterMethods.PairKeys.Where(key => key is not "trainable_token_indices" and not "new_tokens"),
        "init_lora_weights"];

    /// <inheritdoc/>
    public IReadOnlyList<MethodOption> Options { get; } =
    [
        MethodOption.Create<LoraFaMethod, bool>(
            "projected", method => method.Projected, (method, value) => method with { Projected = value },
            "use the gradient of B that is closest to full training's, as in PEFT; false uses the paper's " +
            "plain gradient"),
    ];

    /// <summary>Whether B's gradient is the closest to full training's, as in PEFT, or the paper's plain one;
    /// true.</summary>
    public bool Projected { get; init; } = true;

    ITrainingHooks IAdapterMethod.Hooks(Adapter adapter) =>
        new LoraFaHooks(adapter, Projected);

    /// <inheritdoc/>
    public AdapterConfig Configure(LoraConfig shared) => shared;
}

/// <summary>LoRA-FA (arXiv 2308.03303): A is frozen.</summary>
/// <remarks>With projection, as in PEFT's optimizer, B's gradient G becomes G·(A·Aᵀ)⁻¹ / s²: of all changes of B, the
/// one whose change of W is closest to full training's. The factor is constant, because A is.</remarks>
internal sealed class LoraFaHooks : ITrainingHooks
{
    private const double Damp = 1e-8;

    private readonly List<(LoraLayer Layer, Tensor Factor)> projected = [];

    /// <summary>Prepares the factors.</summary>
    /// <param name="adapter">The adapter.</param>
    /// <param name="projects">Whether gradients are projected.</param>
    public LoraFaHooks(Adapter adapter, bool projects)
    {
        if (!projects) return;
        using var noGradient = no_grad();
        foreach (LoraLayer layer in adapter.Layers.Values.OfType<LoraLayer>())
        {
            using var scope = NewDisposeScope();
            Tensor square = matmul(layer.A, layer.A.t());
            Tensor inverse = linalg.pinv(square.Plus(eye(square.shape[0], device: square.device) * Number(Damp)));
            projected.Add((layer, (inverse / Number(layer.Scale * layer.Scale)).DetachFromDisposeScope()));
        }
    }

    public bool Trains(string key) => !key.EndsWith(".lora_A.weight", StringComparison.Ordinal)
        && !key.EndsWith(".lora_embedding_A", StringComparison.Ordinal);

    public void Start(long totalSteps, double learningRate)
    {
        // Nothing depends on the run.
    }

    public void BeforeUpdate()
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        foreach ((LoraLayer layer, Tensor factor) in projected)
            if (layer.B.grad is { } gradient) gradient.copy_(matmul(gradient, factor));
    }

    public void AfterUpdate(long step)
    {
        // Nothing to do after the step.
    }

    public void Dispose()
    {
        foreach ((LoraLayer _, Tensor factor) in projected) factor.Dispose();
    }
}
