using LowRank.Adapters;
using LowRank.Models;
using static TorchSharp.torch;

namespace LowRank.ParityTests;

/// <summary>Passes over paged keys and values against the reference's logits.</summary>
public sealed class PagedParityTests
{
    private const double Tolerance = 1e-4; // absolute, on float32 logits, as of the other passes

    public static TheoryData<string> Decoders => [.. Golden.Decoders, .. Golden.Settings];

    [Theory, MemberData(nameof(Decoders))]
    public void Prompts_in_parts_and_steps_give_the_reference_logits(string family)
    {
        using var golden = new Golden(family);
        using var scope = NewDisposeScope();
        int[] lengths =
            [.. golden.Read("attention_mask").sum(1, type: ScalarType.Int64).cpu().data<long>().Select(n => (int)n)];
        int[][] texts = [.. lengths.Select((length, row) =>
            golden.Read("input_ids")[row].cpu().data<long>().Take(length).Select(id => (int)id).ToArray())];
        var passes = new PagedPasses(golden.Model.Decoder, texts);
        foreach (float[][][] logits in new[] { passes.Logits(passes.Random(1)), passes.Logits(passes.TokenByToken()) })
            for (int text = 0; text < texts.Length; text++)
                Assert.InRange(Golden.LargestDeviation(
                    stack(logits[text].Select(token => tensor(token))),
                    golden.Read("logits")[text].narrow(0, 0, lengths[text])), 0, Tolerance);
    }

    [Theory, InlineData("rope_dynamic"), InlineData("phi3_longrope"), InlineData("phi3_longrope_partial")]
    public void A_text_whose_length_turns_its_positions_is_refused_and_a_shorter_one_is_not(string family)
    {
        using var golden = new Golden(family);
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        Decoder model = golden.Model.Decoder;
        int longest = model.LongestIndependentLength;
        Assert.Equal(16, longest);
        int[] ids = [.. golden.Read("input_ids")[0].cpu().data<long>().Select(id => (int)id)];
        var passes = new PagedPasses(model, [ids[..longest]]);
        Tensor whole = model.Forward(golden.Read("input_ids").narrow(0, 0, 1).narrow(1, 0, longest));
        Assert.InRange(Golden.LargestDeviation(
            stack(passes.Logits(passes.Random(1))[0].Select(token => tensor(token))), whole[0]), 0, Tolerance);
        var longer = new PagedPasses(model, [ids[..(longest + 1)]]);
        Assert.Contains($"beyond {longest}",
            Assert.Throws<InputException>(() => longer.Logits([[(0, longest + 1)]])).Message);
    }

    [Fact]
    public void A_text_beyond_learned_positions_is_refused()
    {
        using var golden = new Golden("gpt2");
        var passes = new PagedPasses(golden.Model.Decoder, [new int[65]]);
        Assert.Contains("learned positions", Assert.Throws<InputException>(() => passes.Logits([[(0, 65)]])).Message);
    }

    [Fact]
    public void A_prompt_of_an_adapter_is_refused()
    {
        using var golden = new Golden("llama");
        IAdapterMethod method = AdapterMethods.Get("prefix_tuning")
            .With(new Dictionary<string, object?> { ["virtual_tokens"] = 5 });
        using Adapter adapter = Adapter.Create(golden.Model, method.Configure(new LoraConfig()), seed: 1);
        adapter.Attach();
        var passes = new PagedPasses(golden.Model.Decoder, [[1, 2, 3]]);
        Assert.Contains("prompt",
            Assert.Throws<InvalidOperationException>(() => passes.Logits([[(0, 3)]])).Message);
    }
}
