using System.Text.Json.Nodes;
using LowRank.Generation;
using LowRank.Models;
using LowRank.Tests.Models;
using TorchSharp;

namespace LowRank.Tests.Generation;

public sealed class PrefixCacheTests
{
    private static readonly GenerationOptions Greedy = new() { MaxNewTokens = 6 };

    // Spread weights: with the usual small ones, all logits nearly tie.
    private static TinyModel Model(string config) => new(TinyModel.With(config, "initializer_range", 0.5));

    public static TheoryData<string> Families => new(
        TinyModel.Llama,
        TinyModel.With(TinyModel.Gpt2, "n_positions", 64),
        TinyModel.With(TinyModel.With(TinyModel.Llama, "model_type", "mistral"), "sliding_window", 4));

    [Theory]
    [MemberData(nameof(Families))]
    public void Turns_with_reuse_are_those_without(string config)
    {
        using TinyModel tiny = Model(config);
        var generator = new TextGenerator(tiny.Model.Decoder);
        foreach (GenerationOptions options in new[] { Greedy, Greedy with { Temperature = 1.3, TopP = 0.9, Seed = 5 } })
        {
            using var kept = new PrefixCache();
            int[] prompt = [1, 2, 3, 4, 5];
            for (int turn = 0; turn < 4; turn++)
            {
                IReadOnlyList<int> alone = generator.Generate([prompt], options)[0];
                Assert.Equal(alone, generator.Continue(prompt, options, kept));
                // All but the reply's last token was computed in the turn before, the first turn aside.
                Assert.Equal(turn == 0 ? 0 : prompt.Length - 3, kept.Reused);
                prompt = [.. prompt, .. alone, 7, 8 + turn];
            }
        }
    }

    [Fact]
    public void A_prompt_that_departs_from_what_is_held_reuses_what_it_shares()
    {
        using TinyModel tiny = Model(TinyModel.Llama);
        var generator = new TextGenerator(tiny.Model.Decoder);
        using var kept = new PrefixCache();
        void Holds(int[] prompt, int reused)
        {
            Assert.Equal(generator.Generate([prompt], Greedy)[0], generator.Continue(prompt, Greedy, kept));
            Assert.Equal(reused, kept.Reused);
        }
        Holds([1, 2, 3, 4, 5], 0);
        Holds([1, 2, 3, 9, 9, 9, 9, 9, 9, 9, 9], 3);
        Holds([1, 2, 3, 9, 9], 4); // a proper prefix: the last token is computed again
        Holds([9, 2, 3], 0);
        kept.Clear();
        Holds([9, 2, 3], 0);
    }

    [Fact]
    public void What_a_cancelled_reply_computed_is_held()
    {
        using TinyModel tiny = Model(TinyModel.Llama);
        var generator = new TextGenerator(tiny.Model.Decoder);
        using var kept = new PrefixCache();
        using var cancellation = new CancellationTokenSource();
        int[] prompt = [4, 5, 6];
        int made = 0;
        IReadOnlyList<int> cut =
            generator.Continue(
                prompt, Greedy, kept, _ =>
                {
                    if (++made == 3) cancellation.Cancel();
                    return false;
                }, cancellation: cancellation.Token);
        Assert.Equal(generator.Generate([prompt], Greedy)[0].Take(3), cut);
        int[] next = [.. prompt, .. cut, 1];
        Assert.Equal(generator.Generate([next], Greedy)[0], generator.Continue(next, Greedy, kept));
        Assert.Equal(prompt.Length + 2, kept.Reused);
    }

    [Fact]
    public void Angles_that_depend_on_the_length_are_not_reused_beyond_it()
    {
        var scaling = new JsonObject { ["rope_type"] = "dynamic", ["factor"] = 4.0 };
        using TinyModel tiny =
            Model(TinyModel.With(
                TinyModel.With(TinyModel.Llama, "rope_scaling", scaling), "max_position_embeddings", 12));
        var generator = new TextGenerator(tiny.Model.Decoder);
        using var kept = new PrefixCache();
        var one = new GenerationOptions { MaxNewTokens = 1 };
        int[] prompt = [1, 2, 3, 4, 5, 6, 7, 8];
        var reused = new List<int>();
        for (int turn = 0; turn < 4; turn++)
        {
            Assert.Equal(generator.Generate([prompt], one)[0], generator.Continue(prompt, one, kept));
            reused.Add(kept.Reused);
            prompt = [.. prompt, 9, (10 + turn)];
        }
        Assert.Equal([0, 8, 10, 0], reused); // of 8, 10, 12 and 14 tokens, 12 positions being the model's own
    }

    [Fact]
    public void A_bad_prompt_leaves_what_is_held_and_disposal_leaves_no_tensors()
    {
        using TinyModel tiny = Model(TinyModel.Llama);
        var generator = new TextGenerator(tiny.Model.Decoder);
        generator.Generate([[1, 2]], Greedy);
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        using (var kept = new PrefixCache())
        {
            generator.Continue([1, 2, 3], Greedy, kept);
            Assert.Throws<InputException>(() => generator.Continue([1, 2, 99], Greedy, kept));
            Assert.Throws<InputException>(() => generator.Continue([], Greedy, kept));
            Assert.Equal(generator.Generate([[1, 2, 3, 4]], Greedy)[0], generator.Continue([1, 2, 3, 4], Greedy, kept));
            Assert.True(kept.Reused >= 3);
        }
        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }
}
