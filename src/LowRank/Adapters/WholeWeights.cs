using LowRank.Kernels;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Adapters;

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
        Value = parameter.detach().to(ScalarType.Float32, copy: true).DetachFromDisposeScope();
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

/// <summary>The weight of an embedding, or of the output head that shares it, trained and saved whole
/// (<c>modules_to_save</c>).</summary>
/// <remarks>As in PEFT, the copy of one leaves the other at the base's weight unless <c>ensure_weight_tying</c> makes
/// the head follow. The copy is in a slot instead of the model's tensor, because both layers use that tensor.</remarks>
internal sealed class WholeWeight : IAdapterLayer
{
    private readonly AdaptableLayer layer;
    private readonly WholeWeight? leader;

    /// <summary>Creates a copy of a layer's weight.</summary>
    /// <param name="layer">The layer.</param>
    /// <param name="coversTie">Whether the head follows.</param>
    public WholeWeight(AdaptableLayer layer, bool coversTie)
    {
        (this.layer, CoversTie) = (layer, coversTie);
        using var noGradient = no_grad();
        Value = layer.Matrix.detach().clone().DetachFromDisposeScope();
    }

    /// <summary>The head that follows the embedding.</summary>
    public WholeWeight(AdaptableLayer layer, WholeWeight leader) =>
        (this.layer, this.leader, Value, CoversTie) = (layer, leader, leader.Value, true);

    /// <summary>The weight, [rows, width].</summary>
    public Tensor Value { get; }

    /// <summary>The parameter's name, for messages.</summary>
    public string Name => layer.Path + ".weight";

    public bool CoversTie { get; }

    public bool Follows => leader is not null;

    public bool IsAdditive => false;

    public double Weight { get; set; } = 1;

    public IReadOnlyList<KeyValuePair<string, Tensor>> Weights => leader is null
        ? [KeyValuePair.Create(".weight", Value)] : [];

    public IReadOnlyList<KeyValuePair<string, Tensor>> Copies => leader is null ? []
        : [KeyValuePair.Create(".weight", Value.detach().clone())];

    public Tensor Forward(Tensor input, InnerLayer inner, Generator? dropout) =>
        layer.Kind == ModuleKind.Embedding
        ? Value.index_select(0, input.reshape(-1)).view([.. input.shape, Value.shape[1]])
        : LinearProduct.Apply(input, Value, layer.Bias);

    public (Tensor Weight, Tensor? Bias) Merged(Tensor weight, Tensor? bias) => (Value.detach().clone(), bias);

    public void Dispose()
    {
        if (leader is null) Value.Dispose();
    }
}

/// <summary>A base weight that PEFT saves next to the pair of an embedding or head (<c>base_layer.weight</c>): equal to
/// the model's own, never trained, and saved with the adapter.</summary>
/// <param name="key">Its key in the file.</param>
/// <param name="name">The parameter's name in the model.</param>
/// <param name="weight">The model's weight; not owned.</param>
/// <param name="isTable">Whether it is a whole table without a pair, which may differ from the model's.</param>
internal sealed class BaseCopy(string key, string name, Tensor weight, bool isTable) : IFrozenPart
{
    /// <summary>The parameter's name in the model.</summary>
    public string Name => name;

    /// <summary>Whether it is a whole table without a pair, which may differ from the model's.</summary>
    public bool IsTable => isTable;

    public IReadOnlyList<KeyValuePair<string, Tensor>> Weights => [KeyValuePair.Create(key, weight)];

    /// <summary>Whether a file's copy equals the model's weight.</summary>
    public bool IsEqual(Tensor copy)
    {
        using var scope = NewDisposeScope();
        return weight.detach().cpu().eq(copy.to(ScalarType.Float32)).all().item<bool>();
    }

    /// <summary>Copies the rows that the base's own files lack: those of tokens added before the adapter was
    /// trained.</summary>
    public void LoadAddedRows(Tensor copy, int stored)
    {
        if (weight.dim() != 2 || weight.shape[0] <= stored) return;
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        weight.narrow(0, stored, weight.shape[0] - stored).copy_(copy.narrow(0, stored, weight.shape[0] - stored));
    }

    public void Attach()
    {
        // The model already has the weight.
    }

    public void Detach()
    {
        // As Attach.
    }

    public void Dispose()
    {
        // The model owns the weight.
    }
}
