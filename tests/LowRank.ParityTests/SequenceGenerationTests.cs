using LowRank.Generation;
using LowRank.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.ParityTests;

public sealed class SequenceGenerationTests
{
    [Theory]
    [InlineData("t5_plain")]
    [InlineData("t5_gated")]
    public void Greedy_targets_equal_the_reference(string name)
    {
        using var golden = new Golden(name);
        int[] expected = [.. golden.Read("greedy").cpu().data<long>().Select(id => (int)id)];
        int[] source = [.. golden.Read("input_ids")[0].cpu().data<long>().Select(id => (int)id)];
        var model = (EncoderDecoder)golden.Model.Network;
        IReadOnlyList<int> made = new SequenceGenerator(model)
            .Generate([source], new GenerationOptions { MaxNewTokens = expected.Length - 1 })[0];
        Assert.Equal(expected[1..], made);
    }

    [Theory]
    [InlineData("t5_plain")]
    [InlineData("t5_gated")]
    public void Sources_of_different_lengths_generate_together_as_alone(string name)
    {
        using var golden = new Golden(name);
        var generator = new SequenceGenerator((EncoderDecoder)golden.Model.Network);
        int[] ids = [.. golden.Read("input_ids")[0].cpu().data<long>().Select(id => (int)id)];
        int[][] sources = [ids[..3], ids[..11], ids[4..9]];
        var options = new GenerationOptions { MaxNewTokens = 12 };
        IReadOnlyList<IReadOnlyList<int>> together = generator.Generate(sources, options);
        for (int i = 0; i < sources.Length; i++)
            Assert.Equal(generator.Generate([sources[i]], options)[0], together[i]);
    }

    [Fact]
    public void Cached_steps_give_the_states_of_the_whole_target()
    {
        using var golden = new Golden("t5_gated");
        using var scope = NewDisposeScope();
        var model = (EncoderDecoder)golden.Model.Network;
        var input = new ModelInput(golden.Read("input_ids"), golden.Read("attention_mask"));
        Tensor targets = golden.Read("decoder_input_ids");
        using SourceStates source = model.EncodeSource(input);
        using KeyValueCache cache = model.NewCache(3, 12);
        Tensor first = model.Decode(targets.narrow(1, 0, 5), source, cache),
            rest = model.Decode(targets.narrow(1, 5, 7), source, cache);
        Assert.InRange(Golden.LargestDeviation(cat([first, rest], 1), model.TargetStates(input, targets)), 0, 1e-5);
    }
}
