using LowRank.Adapters;
using LowRank.IO;
using LowRank.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.ParityTests;

/// <summary>Several adapters on one base.</summary>
public sealed class AdapterSetTests : IDisposable
{
    private const double Tolerance = 1e-4; // absolute, on float32 logits

    private readonly Golden golden = new("qwen2");
    private readonly string variants;
    private readonly SafeTensorsFile io;
    private readonly AdapterSet set;
    private readonly DisposeScope scope = NewDisposeScope();
    private readonly Tensor alone;

    public AdapterSetTests()
    {
        variants = Path.Combine(golden.Folder, "..", "variants");
        io = SafeTensorsFile.Open(Path.Combine(variants, "io.safetensors"));
        set = new AdapterSet(golden.Model);
        alone = Logits();
        foreach (string name in new[] { "a", "b", "c" }) set.Load(name, Path.Combine(variants, "combine_" + name));
    }

    private Tensor Logits() => golden.Model.Decoder.Forward(io.Read("input_ids"), io.Read("attention_mask"));

    [Fact]
    public void A_batch_whose_rows_use_different_adapters_or_none_equals_the_reference()
    {
        using (set.UseRows(["a", null, "c"]))
            Assert.InRange(Golden.LargestDeviation(Logits(), io.Read("logits.mixed_batch.a_base_c")), 0, Tolerance);
        Assert.InRange(Golden.LargestDeviation(Logits(), alone), 0, Tolerance);
    }

    [Fact]
    public void Every_kind_of_adapter_goes_by_row_as_it_goes_alone()
    {
        foreach (
            string kind in new[] { "dora", "vera", "ia3", "loha", "lokr", "adalora", "trainable_tokens", "pissa",
            "embedding" })
            set.Load(kind, Path.Combine(variants, kind));
        Tensor ids = io.Read("input_ids").narrow(0, 0, 1).expand(11, -1), expected;
        string?[] names =
            ["dora", null, "vera", "ia3", "loha", "a", "lokr", "adalora", "trainable_tokens", "pissa", "embedding"];
        using (set.UseRows(names)) expected = golden.Model.Decoder.Forward(ids);
        for (int row = 0; row < names.Length; row++)
        {
            set.Activate(names[row] is { } name ? [name] : []);
            Tensor single = golden.Model.Decoder.Forward(ids.narrow(0, 0, 1));
            Assert.True(Golden.LargestDeviation(single, expected.narrow(0, row, 1)) < 2e-5, names[row]);
        }
    }

    [Fact]
    public void Active_adapters_add_up_with_their_weights()
    {
        set.Activate([("a", 0.7), ("b", 0.4)]);
        Tensor both = Logits();
        Assert.Equal([("a", 0.7), ("b", 0.4)], set.Active);
        // The concatenation of both pairs is the same sum in one adapter.
        Assert.InRange(Golden.LargestDeviation(both, io.Read("logits.combine.cat")), 0, Tolerance);
        set.Activate();
        Assert.InRange(Golden.LargestDeviation(Logits(), alone), 0, Tolerance);
    }

    [Fact]
    public void Disabling_rests_a_block_and_trained_weights_stay_as_they_are()
    {
        byte[] Bytes() => [.. set["a"].Weights.SelectMany(weight => weight.Value.cpu().bytes.ToArray())];
        byte[] before = Bytes();
        set.Activate("a");
        Tensor with = Logits();
        using (set.Disable()) Assert.InRange(Golden.LargestDeviation(Logits(), alone), 0, Tolerance);
        Assert.Equal(0, Golden.LargestDeviation(Logits(), with));
        set.Activate([("a", 0.5), ("c", 2)]);
        using (set.UseRows(["c", "b", null])) Logits();
        Assert.Equal(before, Bytes());
    }

    [Fact]
    public void Names_change_and_adapters_leave()
    {
        set.Activate("a", "b");
        Tensor both = Logits();
        set.Rename("a", "first");
        Assert.Equal(["first", "b", "c"], set.Names);
        Assert.Equal(0, Golden.LargestDeviation(Logits(), both));
        set.Remove("b");
        Assert.Equal([("first", 1.0)], set.Active);
        Assert.Equal(["first", "c"], set.Names);
    }

    [Fact]
    public void Misuse_is_refused_and_changes_nothing()
    {
        set.Activate("a");
        Tensor with = Logits();
        set.Load("biases", Path.Combine(variants, "bias_all"));
        set.Load("more", Path.Combine(variants, "bias_lora_only"));
        Assert.Contains("there are \"a\", \"b\"", Assert.Throws<InputException>(() => set.Activate("x")).Message,
            StringComparison.Ordinal);
        Assert.Contains(
            "already", Assert.Throws<InputException>(() => set.Load("a", Path.Combine(variants, "combine_a"))).Message,
            StringComparison.Ordinal);
        Assert.Contains("only one can", Assert.Throws<InputException>(() => set.Activate("biases", "more")).Message,
            StringComparison.Ordinal);
        Assert.Contains("cannot be weighted",
            Assert.Throws<InputException>(() => set.Activate([("biases", 0.5)])).Message,
            StringComparison.Ordinal);
        Assert.Contains(
            "cannot differ between the rows",
            Assert.Throws<InputException>(() => set.UseRows(["a", "biases", null])).Message, StringComparison.Ordinal);
        Assert.Equal(0, Golden.LargestDeviation(Logits(), with));
        using (set.UseRows(["a", "b"]))
            Assert.Contains("3 rows", Assert.Throws<InputException>(Logits).Message, StringComparison.Ordinal);
    }

    public void Dispose()
    {
        scope.Dispose();
        set.Dispose();
        io.Dispose();
        golden.Dispose();
    }
}
