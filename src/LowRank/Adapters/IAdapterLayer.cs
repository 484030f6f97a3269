using LowRank.Models.Layers;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Adapters;

/// <summary>What an adapter does to one layer.</summary>
public interface IAdapterLayer : ISlotAdapter, IDisposable
{
    /// <summary>Its tensors by what follows the module's path in their keys, such as <c>.lora_A.weight</c>.</summary>
    new IReadOnlyList<KeyValuePair<string, Tensor>> Weights { get; }

    IReadOnlyList<KeyValuePair<string, Tensor>> ISlotAdapter.Weights => Weights;

    /// <summary>Tensors that the file has besides, each a form of what another layer trains; named as in
    /// <see cref="Weights"/>.</summary>
    IReadOnlyList<KeyValuePair<string, Tensor>> Copies => [];

    /// <summary>Whether the change is of an embedding and of the output head that shares its weight, alike.</summary>
    bool CoversTie => false;

    /// <summary>Whether it only follows another layer's change of the same weight.</summary>
    bool Follows => false;

    /// <summary>The share of the change that is applied; 1 unless adapters are weighed against each other.</summary>
    double Share { get; set; }

    /// <summary>Whether <see cref="Merged"/> adds something that does not depend on the weight.</summary>
    bool IsAdditive { get; }

    /// <summary>Whether <see cref="Merged"/> changes the bias too.</summary>
    bool ChangesBias => false;

    /// <summary>The weight with the change in it.</summary>
    /// <param name="weight">The layer's weight in float32: [out, in] of a projection, [rows, width] of an
    /// embedding.</param>
    /// <param name="bias">Its bias, [out], or null.</param>
    /// <returns>New tensors, in the caller's dispose scope; the bias is <paramref name="bias"/> itself where it does
    /// not change.</returns>
    /// <exception cref="InputException">The change cannot be expressed in the layer's weight and bias.</exception>
    (Tensor Weight, Tensor? Bias) Merged(Tensor weight, Tensor? bias);
}

/// <summary>A part of an adapter: what it does to one layer, a weight it replaces, a prompt before the text.</summary>
public interface IAdapterPart : IDisposable
{
    /// <summary>Its tensors by their keys in the adapter's file.</summary>
    IReadOnlyList<KeyValuePair<string, Tensor>> Weights { get; }

    /// <summary>Tensors that the file has besides, each a form of one that is trained.</summary>
    IReadOnlyList<KeyValuePair<string, Tensor>> Copies => [];

    /// <summary>Takes part in what the model computes.</summary>
    void Attach();

    /// <summary>No longer takes part: the model computes as before <see cref="Attach"/>.</summary>
    void Detach();
}

/// <summary>A look at the data before training, for starts that need one.</summary>
public interface ICalibration
{
    /// <summary>Runs the model over examples one at a time, without gradients and without padding.</summary>
    /// <param name="beforeEach">Hears, before each example, which of its positions have labels; null where labels do
    /// not belong to positions.</param>
    void Forward(Action<IReadOnlyList<int>?> beforeEach);

    /// <summary>Adds the gradient of the mean loss over the examples to every tensor in use that requires
    /// one.</summary>
    void Backward();
}

/// <summary>A part whose tensors are saved with the adapter but never trained.</summary>
public interface IFrozenPart : IAdapterPart;

/// <summary>A weight of the base that an adapter replaces: of a module saved whole (<c>modules_to_save</c>) or a bias
/// (<c>bias: all</c> or <c>lora_only</c>).</summary>
/// <remarks>The model has one tensor for it, which holds the adapter's values while the adapter is attached and the
/// base's own otherwise.</remarks>
internal sealed class TrainedParameter : IAdapterPart
{
    private readonly Tensor original;
    private bool isAttached;

    public TrainedParameter(string key, string name, Tensor parameter)
    {
        Key = key;
        Name = name;
        Parameter = parameter;
        using var noGradient = no_grad();
        original = parameter.detach().clone().DetachFromDisposeScope();
        Value = parameter.detach().clone().DetachFromDisposeScope();
    }

    /// <summary>Its key in the adapter's file.</summary>
    public string Key { get; }

    /// <summary>Whether it is replaced but not trained.</summary>
    public bool IsFrozen { get; init; }

    /// <summary>The parameter's name in the model.</summary>
    public string Name { get; }

    /// <summary>The model's tensor.</summary>
    public Tensor Parameter { get; }

    /// <summary>The adapter's values while it is detached.</summary>
    public Tensor Value { get; }

    public IReadOnlyList<KeyValuePair<string, Tensor>> Weights =>
        [KeyValuePair.Create(Key, isAttached ? Parameter : Value)];

    public void Attach()
    {
        if (isAttached) return;
        using var noGradient = no_grad();
        Parameter.copy_(Value);
        isAttached = true;
    }

    public void Detach()
    {
        if (!isAttached) return;
        isAttached = false;
        Parameter.requires_grad = false;
        Value.copy_(Parameter);
        Parameter.copy_(original);
    }

    public void Dispose()
    {
        original.Dispose();
        Value.Dispose();
    }
}

/// <summary>How A and B begin (<c>init_lora_weights</c>): true, false, or the name of a method.</summary>
public sealed record InitialWeights
{
    private InitialWeights(string name, string? text)
    {
        Name = name;
        Text = text;
    }

    /// <summary>A uniform (Kaiming with a = √5), B zero: the default.</summary>
    public static InitialWeights True { get; } = new("true", null);

    /// <summary>A and B both random, so that the adapter changes the model before any training: for tests.</summary>
    public static InitialWeights False { get; } = new("false", null);

    /// <summary>A normal with standard deviation 1/rank, B zero.</summary>
    public static InitialWeights Gaussian { get; } = Method("gaussian");

    /// <summary>JSON's null, which PEFT takes as <see cref="False"/>.</summary>
    public static InitialWeights Null { get; } = new("null", null);

    /// <summary>"true", "false", "null" or the method's name in lower case.</summary>
    public string Name { get; }

    /// <summary>The name of a method as written; null for true, false and null.</summary>
    public string? Text { get; }

    /// <summary>A method by name, such as "gaussian".</summary>
    public static InitialWeights Method(string name) => new(name.ToLowerInvariant(), name);
}

/// <summary>Which biases of the base are trained and saved with the adapter (<c>bias</c>).</summary>
public enum BiasTraining
{
    /// <summary>None ("none"): the default.</summary>
    None,

    /// <summary>Those of the adapted layers ("lora_only").</summary>
    Adapted,

    /// <summary>Every bias of the model ("all").</summary>
    All,
}
