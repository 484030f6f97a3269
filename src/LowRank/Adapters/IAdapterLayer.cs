using LowRank.Models.Layers;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Adapters;

/// <summary>An adapter's change to one layer.</summary>
public interface IAdapterLayer : ISlotAdapter, IDisposable
{
    /// <summary>Its tensors by key suffix after the module's path, such as <c>.lora_A.weight</c>.</summary>
    new IReadOnlyList<KeyValuePair<string, Tensor>> Weights { get; }

    IReadOnlyList<KeyValuePair<string, Tensor>> ISlotAdapter.Weights => Weights;

    /// <summary>Additional tensors in the file, each derived from what another layer trains; named as in
    /// <see cref="Weights"/>.</summary>
    IReadOnlyList<KeyValuePair<string, Tensor>> Copies => [];

    /// <summary>Whether it changes an embedding and the output head that shares its weight alike.</summary>
    bool CoversTie => false;

    /// <summary>Whether it only follows another layer's change of the same weight.</summary>
    bool Follows => false;

    /// <summary>The factor of the change; 1 unless adapters are weighted.</summary>
    double Share { get; set; }

    /// <summary>Whether <see cref="Merged"/> adds something that does not depend on the weight.</summary>
    bool IsAdditive { get; }

    /// <summary>Whether <see cref="Merged"/> changes the bias too.</summary>
    bool ChangesBias => false;

    /// <summary>The weight with the change merged in.</summary>
    /// <param name="weight">The layer's weight in float32: [out, in] for a projection, [rows, width] for an
    /// embedding.</param>
    /// <param name="bias">Its bias, [out], or null.</param>
    /// <returns>New tensors, in the caller's dispose scope; the bias is <paramref name="bias"/> itself if it is
    /// unchanged.</returns>
    /// <exception cref="InputException">The change cannot be expressed in the layer's weight and bias.</exception>
    (Tensor Weight, Tensor? Bias) Merged(Tensor weight, Tensor? bias);
}

/// <summary>A part of an adapter: a change to one layer, a replaced weight, or a prompt before the text.</summary>
public interface IAdapterPart : IDisposable
{
    /// <summary>Its tensors by their keys in the adapter's file.</summary>
    IReadOnlyList<KeyValuePair<string, Tensor>> Weights { get; }

    /// <summary>Additional tensors in the file, each derived from a trained one.</summary>
    IReadOnlyList<KeyValuePair<string, Tensor>> Copies => [];

    /// <summary>Makes the part take part in the model's computation.</summary>
    void Attach();

    /// <summary>Removes the part: the model computes as before <see cref="Attach"/>.</summary>
    void Detach();
}

/// <summary>Access to data before training, for initialisations that need it.</summary>
public interface ICalibration
{
    /// <summary>Runs the model on one example at a time, without gradients and padding.</summary>
    /// <param name="beforeEach">Called before each example with the mask of positions that have labels; null if labels
    /// do not belong to positions.</param>
    void Forward(Action<IReadOnlyList<int>?> beforeEach);

    /// <summary>Accumulates the gradient of the mean loss over the examples in every active tensor that requires
    /// one.</summary>
    void Backward();
}

/// <summary>A part whose tensors are saved with the adapter but never trained.</summary>
public interface IFrozenPart : IAdapterPart;

/// <summary>A base weight that an adapter replaces: of a module saved whole (<c>modules_to_save</c>) or a bias
/// (<c>bias: all</c> or <c>lora_only</c>).</summary>
/// <remarks>The model has one tensor for it, which contains the adapter's values while the adapter is attached and the
/// base's values otherwise.</remarks>
internal sealed class TrainedParameter : IAdapterPart
{
    private Tensor? original; // the base's values while the adapter is attached
    private readonly TrainedParameter? first;
    private bool isTrained;

    /// <summary>Starts with the values that the model has now.</summary>
    public TrainedParameter(string key, string name, Tensor parameter)
    {
        Key = key;
        Name = name;
        Parameter = parameter;
        using var noGradient = no_grad();
        Value = parameter.detach().clone().DetachFromDisposeScope();
    }

    /// <summary>The same weight under another key of the file.</summary>
    public TrainedParameter(string key, TrainedParameter first) =>
        (Key, Name, Parameter, Value, this.first) = (key, first.Name, first.Parameter, first.Value, first);

    /// <summary>Its key in the adapter's file.</summary>
    public string Key { get; }

    /// <summary>Whether it is replaced but not trained.</summary>
    public bool IsFrozen { get; init; }

    /// <summary>The parameter's name in the model.</summary>
    public string Name { get; }

    /// <summary>The model's tensor.</summary>
    public Tensor Parameter { get; }

    /// <summary>The adapter's values while detached.</summary>
    public Tensor Value { get; }

    public IReadOnlyList<KeyValuePair<string, Tensor>> Weights =>
        [KeyValuePair.Create(Key, (first ?? this).original is null ? Value : Parameter)];

    public void Attach()
    {
        if (first is not null || original is not null) return;
        using var noGradient = no_grad();
        original = Parameter.detach().clone().DetachFromDisposeScope();
        Parameter.copy_(Value);
        Parameter.requires_grad = isTrained;
    }

    public void Detach()
    {
        if (original is null) return;
        using var noGradient = no_grad();
        isTrained = Parameter.requires_grad;
        Parameter.requires_grad = false;
        Value.copy_(Parameter);
        Parameter.copy_(original);
        original.Dispose();
        original = null;
    }

    public void Dispose()
    {
        if (first is not null) return;
        original?.Dispose();
        Value.Dispose();
    }
}

/// <summary>How A and B are initialised (<c>init_lora_weights</c>): true, false, or the name of a method.</summary>
public sealed record InitialWeights
{
    private InitialWeights(string name, string? text)
    {
        Name = name;
        Text = text;
    }

    /// <summary>A uniform (Kaiming with a = √5), B zero: the default.</summary>
    public static InitialWeights True { get; } = new("true", null);

    /// <summary>A and B both random, so that the adapter changes the model before any training; for tests.</summary>
    public static InitialWeights False { get; } = new("false", null);

    /// <summary>A normal with standard deviation 1/rank, B zero.</summary>
    public static InitialWeights Gaussian { get; } = Method("gaussian");

    /// <summary>JSON's null, which PEFT treats like <see cref="False"/>.</summary>
    public static InitialWeights Null { get; } = new("null", null);

    /// <summary>"true", "false", "null" or the method's name in lower case.</summary>
    public string Name { get; }

    /// <summary>The method name as written; null for true, false and null.</summary>
    public string? Text { get; }

    /// <summary>A method by name, such as "gaussian".</summary>
    public static InitialWeights Method(string name) => new(name.ToLowerInvariant(), name);
}

/// <summary>Which biases of the base are trained and saved with the adapter (<c>bias</c>).</summary>
public enum BiasTraining
{
    /// <summary>None ("none"): the default.</summary>
    None,

    /// <summary>The biases of the adapted layers ("lora_only").</summary>
    Adapted,

    /// <summary>Every bias of the model ("all").</summary>
    All,
}
