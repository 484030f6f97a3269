using LowRank.Tensors.Native;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Training;

/// <summary>The norm of all gradients together: one pass over their memory on the processor.</summary>
/// <remarks>Squares are summed in float64, a block's in a fixed order and the blocks' in theirs: the same bytes for any number of
/// threads. PyTorch sums in float32; the two agree to about seven digits.</remarks>
internal sealed class GradientNorm
{
    private readonly Tensor[] weights;
    private readonly WeightBlocks blocks;
    private readonly bool[] isPlain;
    private readonly nint[] gradients; // addresses; 0 for none
    private readonly double[] sums; // of each block

    /// <summary>Prepares for the gradients of weights.</summary>
    public GradientNorm(IEnumerable<Tensor> weights)
    {
        this.weights = [.. weights];
        blocks = new WeightBlocks(this.weights);
        isPlain = [.. this.weights.Select(NativeTensor.IsPlain)];
        (gradients, sums) = (new nint[this.weights.Length], new double[blocks.Count]);
    }

    /// <summary>The norm; 0 where no weight has a gradient.</summary>
    public double Measure()
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        var elsewhere = new List<Tensor>(); // norms on other devices, waited for once
        for (int i = 0; i < weights.Length; i++)
        {
            gradients[i] = isPlain[i] ? NativeTensor.GradientAddress(weights[i]) : 0;
            if (!isPlain[i] && weights[i].grad is { } gradient) elsewhere.Add(gradient.norm());
        }
        new SquareWork(blocks, gradients, sums).Run();
        double sum = elsewhere.Count == 0 ? 0 : stack(elsewhere).to(ScalarType.Float64).square().sum().item<double>();
        foreach (double part in sums) sum += part;
        return Math.Sqrt(sum);
    }

    /// <summary>Multiplies every gradient in place.</summary>
    public void Scale(double factor)
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        foreach (Tensor weight in weights) weight.grad?.mul_(factor);
    }
}
