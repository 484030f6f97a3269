using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Adapters;

/// <summary>AdaLoRA's training (arXiv 2303.10512): the penalty that keeps A and B orthogonal (equation 4), the
/// importance of each direction (equations 8 to 11) and the budget that falls from the initial rank to the target
/// (equation 12).</summary>
internal sealed class AdaLoraHooks : ITrainingHooks
{
    private readonly Adapter adapter;
    private readonly (string Path, AdaLoraLayer Layer)[] layers;
    private readonly Dictionary<Tensor, (Tensor Sensitivity, Tensor Uncertainty)> averages =
        new(ReferenceEqualityComparer.Instance);
    private readonly Dictionary<string, Tensor> kept; // 1 for a direction that is kept, [rank] of each layer
    private readonly double beta1;
    private readonly double beta2;
    private readonly double penaltyWeight;
    private readonly int startSteps;
    private readonly int finalSteps;
    private readonly int interval;
    private readonly int targetRank;
    private long totalSteps;

    /// <summary>Reads the settings from the adapter's config.</summary>
    public AdaLoraHooks(Adapter adapter)
    {
        this.adapter = adapter;
        var config = (AdaLoraConfig)adapter.Config;
        layers = [.. adapter.Layers.Select(layer => (layer.Key, (AdaLoraLayer)layer.Value))];
        (beta1, beta2, penaltyWeight) = (config.Beta1, config.Beta2, config.OrthogonalWeight);
        (startSteps, finalSteps, interval, targetRank) =
            (config.StartSteps, config.FinalSteps, config.Interval, config.LastRank);
        kept = layers.ToDictionary(layer => layer.Path, layer => ones(layer.Layer.A.shape[0]).DetachFromDisposeScope());
        foreach (Tensor weight in layers.SelectMany(layer => Weights(layer.Layer)))
            averages[weight] =
                (zeros_like(weight, requires_grad: false).DetachFromDisposeScope(),
                zeros_like(weight, requires_grad: false).DetachFromDisposeScope());
    }

    private int InitialBudget => (int)layers.Sum(layer => layer.Layer.A.shape[0]);

    private int TargetBudget => targetRank * layers.Length;

    public IReadOnlyList<KeyValuePair<string, Tensor>> State =>
    [
        .. layers.SelectMany(
            layer => new[] { ("A", layer.Layer.A), ("B", layer.Layer.B), ("E", layer.Layer.Values) }.SelectMany(
                part => new[]
        {
            KeyValuePair.Create($"{layer.Path}.{part.Item1}.sensitivity", averages[part.Item2].Sensitivity),
            KeyValuePair.Create($"{layer.Path}.{part.Item1}.uncertainty", averages[part.Item2].Uncertainty),
        })),
        .. kept.Select(layer => KeyValuePair.Create($"{layer.Key}.kept", layer.Value)),
    ];

    /// <exception cref="InputException">The run is shorter than its first and last steps together.</exception>
    public void Start(long totalSteps, double learningRate)
    {
        this.totalSteps = totalSteps;
        if (totalSteps <= startSteps + finalSteps)
            throw new InputException(
                $"AdaLoRA: its first and last steps (tinit, tfinal) are {startSteps + finalSteps} together, " +
                $"expected fewer than the run's {totalSteps} steps.");
        adapter.Revise((AdaLoraConfig)adapter.Config with { TotalSteps = (int)Math.Min(int.MaxValue, totalSteps) });
    }

    public Tensor? Penalty()
    {
        if (penaltyWeight == 0) return null;
        Tensor sum = zeros(1, device: layers[0].Layer.A.device);
        foreach ((string _, AdaLoraLayer layer) in layers)
            sum = sum.Plus(Distance(matmul(layer.A, layer.A.t()))).Plus(Distance(matmul(layer.B.t(), layer.B)));
        return (sum * Number(penaltyWeight / (2 * layers.Length))).sum();
    }

    public void BeforeUpdate()
    {
        // Importance is measured after the step, as in PEFT.
    }

    public void AfterUpdate(long step)
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        long end = totalSteps - finalSteps;
        if (step > end)
        {
            Apply();
            return;
        }
        if (step < end) Measure();
        if (step == end || (step > startSteps && step % interval == 0)) Choose(Budget(step));
    }

    public void Dispose()
    {
        foreach ((Tensor sensitivity, Tensor uncertainty) in averages.Values)
        {
            sensitivity.Dispose();
            uncertainty.Dispose();
        }
        foreach (Tensor mask in kept.Values) mask.Dispose();
    }

    /// <summary>Number of directions that all layers together keep at a step: first the whole budget, then a cubic
    /// decay to the target.</summary>
    internal int Budget(long step)
    {
        if (step <= startSteps) return InitialBudget;
        if (step > totalSteps - finalSteps) return TargetBudget;
        double left = 1 - (double)(step - startSteps) / (totalSteps - finalSteps - startSteps);
        return (int)((InitialBudget - TargetBudget) * Math.Pow(left, 3) + TargetBudget);
    }

    // Smoothed |w·gradient| and its uncertainty.
    private void Measure()
    {
        foreach ((Tensor weight, (Tensor sensitivity, Tensor uncertainty)) in averages)
        {
            if (weight.grad is not { } gradient) continue;
            Tensor now = (weight * gradient).abs();
            sensitivity.mul_(Number(beta1)).add_(now, Number(1 - beta1));
            uncertainty.mul_(Number(beta2)).add_((now - sensitivity).abs(), Number(1 - beta2));
        }
    }

    // Sets the values of the least important directions to zero: as many as exceed the budget.
    private void Choose(int budget)
    {
        int left = InitialBudget - budget;
        if (left == 0) return;
        Tensor[] scores = [.. layers.Select(layer => Score(layer.Layer))];
        float threshold = cat(scores).sort().Values[left - 1].item<float>();
        for (int i = 0; i < layers.Length; i++) kept[layers[i].Path].copy_(scores[i] > Number(threshold));
        Apply();
    }

    // Also recorded in the config, because saving removes the directions.
    private void Apply()
    {
        foreach ((string path, AdaLoraLayer layer) in layers)
            layer.Values.mul_(kept[path].to(layer.Values.device).unsqueeze(1));
        adapter.Revise(AdaLoraType.WithKept(
            (AdaLoraConfig)adapter.Config, kept.Select(layer => KeyValuePair.Create<string, IReadOnlyList<bool>>(
                layer.Key, [.. layer.Value.data<float>().ToArray().Select(mask => mask != 0)]))));
    }

    // For each direction: the importance of its value plus the mean importance of its entries in A and B.
    private Tensor Score(AdaLoraLayer layer)
    {
        Tensor Importance(Tensor weight) => averages[weight].Sensitivity * averages[weight].Uncertainty;
        return Importance(layer.Values).view(-1).Plus(Importance(layer.A).mean([1]))
            .Plus(Importance(layer.B).mean([0])).cpu();
    }

    private static Tensor Distance(Tensor square) => (square - eye(square.shape[0], device: square.device)).norm();

    private static IEnumerable<Tensor> Weights(AdaLoraLayer layer) => [layer.A, layer.B, layer.Values];
}
