using LowRank.Kernels;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Adapters;

/// <summary>The weight of an embedding, or of the output head that shares it, trained and saved whole
/// (<c>modules_to_save</c>).</summary>
/// <remarks>As in PEFT, the copy of one leaves the other at the base's weight unless <c>ensure_weight_tying</c> makes
/// the head follow. The copy is in a slot instead of the model's tensor, because both layers use that tensor.</remarks>
internal sealed class WholeWeight : IAdapterLayer
{
    private readonly AdaptableLayer site;
    private readonly WholeWeight? leader;

    /// <summary>Creates a copy of a layer's weight.</summary>
    /// <param name="site">The layer.</param>
    /// <param name="coversTie">Whether the head follows.</param>
    public WholeWeight(AdaptableLayer site, bool coversTie)
    {
        (this.site, CoversTie) = (site, coversTie);
        using var noGradient = no_grad();
        Value = site.Matrix.detach().clone().DetachFromDisposeScope();
    }

    /// <summary>The head that follows the embedding.</summary>
    public WholeWeight(AdaptableLayer site, WholeWeight leader) =>
        (this.site, this.leader, Value, CoversTie) = (site, leader, leader.Value, true);

    /// <summary>The weight, [rows, width].</summary>
    public Tensor Value { get; }

    /// <summary>The parameter's name, for messages.</summary>
    public string Name => site.Path + ".weight";

    public bool CoversTie { get; }

    public bool Follows => leader is not null;

    public bool IsAdditive => false;

    public double Share { get; set; } = 1;

    public IReadOnlyList<KeyValuePair<string, Tensor>> Weights => leader is null
        ? [KeyValuePair.Create(".weight", Value)] : [];

    public IReadOnlyList<KeyValuePair<string, Tensor>> Copies => leader is null ? []
        : [KeyValuePair.Create(".weight", Value.detach().clone())];

    public Tensor Forward(Tensor input, InnerLayer inner, Generator? dropout) =>
        site.Kind == ModuleKind.Embedding
        ? Value.index_select(0, input.reshape(-1)).view([.. input.shape, Value.shape[1]])
        : nn.functional.linear(input, Value, site.Bias);

    public (Tensor Weight, Tensor? Bias) Merged(Tensor weight, Tensor? bias) => (Value.detach().clone(), bias);

    public void Dispose()
    {
        if (leader is null) Value.Dispose();
    }
}
