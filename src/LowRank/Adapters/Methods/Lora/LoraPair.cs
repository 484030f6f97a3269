using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Adapters.Methods.Lora;

/// <summary>First values of a pair.</summary>
/// <param name="A">[rank, in]</param>
/// <param name="B">[out, rank]</param>
internal sealed record LoraPair(Tensor A, Tensor B)
{
    /// <summary>Lets both outlive the present scope.</summary>
    public LoraPair MoveToOuterDisposeScope()
    {
        A.MoveToOuterDisposeScope();
        B.MoveToOuterDisposeScope();
        return this;
    }
}
