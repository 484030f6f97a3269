using LowRank.Kernels;
using LowRank.Quantization;
using LowRank.Tests.Kernels;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Tests.Quantization;

/// <summary>Packed weights whose products are computed in bfloat16.</summary>
public sealed class ComputedWeightTests
{
    // Emulated and torch's own; some wider than a unit of the direct products, some not, and one of several chunks.
    public static TheoryData<string, bool, int, int> Cases
    {
        get
        {
            var data = new TheoryData<string, bool, int, int>();
            foreach (string format in (string[])["bfloat16", "int8", "nf4"])
                foreach ((bool isEmulated, int outputs, int inputs) in new[] { (true, 96, 128), (false, 96, 128),
                    (true, 33, 50), (false, 33, 50), (true, 140, 66_000) })
                    data.Add(format, isEmulated, outputs, inputs);
            return data;
        }
    }

    [Theory, MemberData(nameof(Cases))]
    public void Products_and_gradients_are_those_of_rounded_numbers(
        string format, bool isEmulated, int outputs, int inputs)
    {
        using var scope = NewDisposeScope();
        using PackedWeight packed = Pack(format, isEmulated, outputs, inputs);
        Tensor wide = Half(packed.Expand()), x = Rounding.Draw(2, 12, inputs), dy = Rounding.Draw(3, 12, outputs),
            bias = Rounding.Draw(4, outputs);
        Tensor forward = Half(matmul(Half(x), wide.t())).Plus(bias), back = Half(matmul(Half(dy), wide));
        IWeightMatrix weight = packed;
        Near(forward, weight.StepProduct(x, bias));
        Near(forward, weight.Product(x.unsqueeze(0), bias)[0]); // a text of so many tokens
        Near(back, packed.BackProduct(dy));
        // Torch's own products are slow here.
        foreach (bool isPlain in inputs > 1000 ? (bool[])[false] : [false, true])
        {
            using IDisposable form = KernelForm.Use(isPlain);
            Tensor input = x.clone().requires_grad_();
            Tensor output = packed.Linear(input, bias);
            (output * dy).sum().backward();
            Near(forward, output.detach());
            Near(back, input.grad!);
        }
        using PackedWeight moved = packed.MoveTo(CPU); // what other devices compute with
        Near(forward, moved.Linear(x, bias));
        Near(back, moved.BackProduct(dy));
    }

    /// <summary>The next token of many texts, and a short text.</summary>
    [Theory, InlineData(12, 1), InlineData(1, 8)]
    public void Few_tokens_of_a_text_are_multiplied_in_float32_with_the_packed_values(int texts, int tokens)
    {
        using var scope = NewDisposeScope();
        using PackedWeight packed = Pack("bfloat16", isEmulated: true, 96, 128);
        Tensor x = Rounding.Draw(2, texts, tokens, 128);
        Assert.InRange((matmul(x, packed.Expand().t()) - ((IWeightMatrix)packed).Product(x, null)).abs().max()
            .item<float>(), 0, 1e-4);
    }

    /// <summary>The loss of an output head in chunks, and its gradient.</summary>
    [Theory, MemberData(nameof(Heads))]
    public void A_packed_head_has_the_loss_of_its_logits(string format, string compute)
    {
        using var scope = NewDisposeScope();
        ComputeType type = Enum.Parse<ComputeType>(compute);
        var buffer = ExpansionBuffer.ForModel(type);
        using PackedWeight packed =
            WeightFormats.Get(format)!.Pack(Rounding.Draw(1, 300, 64), buffer);
        Tensor bias = Rounding.Draw(2, 300), labels = Indices(0, 30) * Number(7);
        Tensor states = Rounding.Draw(3, 30, 64).requires_grad_(), others = states.detach().clone().requires_grad_();
        (HeadLoss.Sum(states, packed, bias, labels, "head", 11 * 300) / Number(3)).backward();
        Tensor loss = HeadLoss.Sum(states, packed, bias, labels, "head", 11 * 300), plain;
        using (KernelForm.UsePlain())
        {
            plain = HeadLoss.Sum(others, packed, bias, labels, "head");
            (plain / Number(3)).backward();
        }
        double tolerance = type == ComputeType.Float32 ? 1e-5 : 1.0 / 256;
        Assert.InRange(loss.item<float>() / plain.item<float>(), 1 - tolerance, 1 + tolerance);
        double largest = others.grad!.abs().max().item<float>();
        Assert.InRange((states.grad! - others.grad!).abs().max().item<float>(), 0, 4 * tolerance * largest);
    }

    public static TheoryData<string, string> Heads
    {
        get
        {
            var data = new TheoryData<string, string>();
            foreach (string format in (string[])["bfloat16", "int8", "nf4"])
                foreach (ComputeType compute in Enum.GetValues<ComputeType>()) data.Add(format, compute.ToString());
            return data;
        }
    }

    private static PackedWeight Pack(string format, bool isEmulated, int outputs, int inputs) =>
        WeightFormats.Get(format)!.Pack(Rounding.Draw(1, outputs, inputs) * Number(0.1), ExpansionBuffer.ForModel(
            isEmulated ? ComputeType.EmulatedBFloat16 : ComputeType.BFloat16));

    private static Tensor Half(Tensor wide) => wide.to(ScalarType.BFloat16).to(ScalarType.Float32);

    // Sums of other orders may round to the neighbour, of several chunks each.
    private static void Near(Tensor wanted, Tensor found) => Assert.InRange(
        (wanted - found).abs().max().item<float>(), 0, wanted.abs().max().item<float>() / 128);
}
