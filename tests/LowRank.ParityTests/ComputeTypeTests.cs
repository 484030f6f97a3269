using LowRank.Adapters;
using LowRank.Data;
using LowRank.IO;
using LowRank.Kernels;
using LowRank.Models;
using LowRank.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.ParityTests;

/// <summary>Products in bfloat16 against Reference/make_compute_cases.py. Sums in another order round a few products to
/// the neighbouring bfloat16, which the layers above carry on: a tensor deviates from the reference's by at most 4
/// units of 2⁻⁸ of its largest value, by less than one on average, and by less than half of what float32 products
/// deviate by.</summary>
public sealed class ComputeTypeTests
{
    private const double Unit = 1.0 / 256; // of bfloat16, relative

    // Also in torch's own bfloat16 products, which are slow here and the same.
    public static TheoryData<string, bool> Cases => new()
    {
        { "llama", true }, { "llama", false }, { "gpt2", true }, { "gpt2", false },
    };

    [Theory, MemberData(nameof(Cases))]
    public void Loss_logits_and_gradients_are_the_references(string family, bool isEmulated)
    {
        using var scope = NewDisposeScope();
        using SafeTensorsFile reference = SafeTensorsFile.Open(
            Path.Combine(AppContext.BaseDirectory, "Fixtures", "compute", "compute_cases.safetensors"));
        IReadOnlyDictionary<string, Tensor> rounded, exact = Measure(family, ComputeTypes.Float32);
        using (BFloat16Units.State(isEmulated ? ComputeType.EmulatedBFloat16 : ComputeType.BFloat16))
            rounded = Measure(family, ComputeTypes.BFloat16);
        Assert.Equal(reference.Entries.Keys.Count(key => key.StartsWith(family + ".", StringComparison.Ordinal)),
            rounded.Count);
        double sum = 0, sumExact = 0;
        foreach ((string name, Tensor found) in rounded)
        {
            Tensor wanted = reference.Read($"{family}.{name}");
            double largest = wanted.abs().max().item<float>(),
                deviation = Golden.LargestDeviation(found, wanted) / largest;
            Assert.True(deviation < 4 * Unit, $"{name} deviates by {deviation / Unit:0.00} units");
            sum += deviation;
            sumExact += Golden.LargestDeviation(exact[name], wanted) / largest;
        }
        Assert.True(sum < rounded.Count * Unit && sum < sumExact / 2,
            $"{sum / Unit} units over {rounded.Count} tensors, in float32 {sumExact / Unit}");
    }

    // The logits, the summed loss, and the gradients by their keys in the adapter's file.
    private static Dictionary<string, Tensor> Measure(string family, string compute)
    {
        using var golden = new Golden(family, computeDtype: compute);
        using Adapter adapter = Adapter.Load(Path.Combine(golden.Folder, "lora"), golden.Model);
        adapter.Attach();
        Tensor ids = golden.Read("input_ids"), mask = golden.Read("attention_mask");
        var found = new Dictionary<string, Tensor> { ["logits"] = golden.Model.Decoder.Forward(ids, mask) };
        adapter.SetTrainable(true);
        IExample[] rows = [.. Enumerable.Range(0, (int)ids.shape[0]).Select(row =>
        {
            int[] tokens = [.. ids[row].narrow(0, 0, mask[row].sum().item<long>()).cpu().data<long>()
                .Select(id => (int)id)];
            return new TokenizedExample(tokens, tokens);
        })];
        Tensor loss = new CausalObjective(golden.Model.Decoder).Sum(rows, null);
        loss.backward();
        found["loss"] = loss.detach();
        foreach ((string key, Tensor weight) in adapter.TrainedWeights) found[key] = weight.grad!.clone();
        adapter.SetTrainable(false);
        return found;
    }
}
