using LowRank.Generation;
using LowRank.Kernels;
using LowRank.Models;
using LowRank.Models.Layers;
using LowRank.Tests.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Tests.Generation;

public sealed class TextGeneratorTests
{
    // Spread weights: with the usual small ones, all logits nearly tie.
    private static TinyModel Model() => new(TinyModel.With(TinyModel.Llama, "initializer_range", 0.5));

    [Fact]
    public void Prompts_together_give_what_each_gives_alone()
    {
        using TinyModel tiny = Model();
        var generator = new TextGenerator(tiny.Model.Decoder);
        int[][] prompts = [[1, 2, 3, 4, 5, 6, 7], [9], [30, 8, 2]];
        var options = new GenerationOptions { MaxNewTokens = 12 };
        IReadOnlyList<IReadOnlyList<int>> together = generator.Generate(prompts, options);
        Assert.All(together, row => Assert.Equal(12, row.Count));
        for (int row = 0; row < prompts.Length; row++)
            Assert.Equal(generator.Generate([prompts[row]], options)[0], together[row]);
        Assert.NotEqual(together[0], together[1]);
        Assert.Empty(generator.Generate([], options));
    }

    [Fact]
    public void A_stop_token_ends_its_row_alone_and_is_not_returned()
    {
        using TinyModel tiny = Model();
        var generator = new TextGenerator(tiny.Model.Decoder);
        int[][] prompts = [[1, 2, 3], [9]];
        IReadOnlyList<IReadOnlyList<int>> free =
            generator.Generate(prompts, new GenerationOptions { MaxNewTokens = 8 });
        int stop = free[0][2];
        var heard = new List<(int Row, int Token)>();
        IReadOnlyList<IReadOnlyList<int>> stopped = generator.Generate(
            prompts, new GenerationOptions { MaxNewTokens = 8, StopTokenIds = [stop] }, (row, token) =>
            heard.Add((row, token)));
        for (int row = 0; row < 2; row++)
        {
            Assert.Equal(free[row].TakeWhile(token => token != stop), stopped[row]);
            Assert.Equal(stopped[row], heard.Where(h => h.Row == row).Select(h => h.Token));
        }
        Assert.True(stopped[0].Count <= 2);
    }

    [Fact]
    public void Finished_texts_leave_the_batch_and_the_others_are_what_each_is_alone()
    {
        using TinyModel tiny = Model();
        var generator = new TextGenerator(tiny.Model.Decoder);
        int[][] prompts = [.. Enumerable.Range(0, 8).Select(row => Enumerable.Range(row, row + 1).ToArray())];
        var options = new GenerationOptions { MaxNewTokens = 20 };
        IReadOnlyList<IReadOnlyList<int>> free = generator.Generate(prompts, options);
        int[] firsts = [.. free.Select(text => text[0])]; // no text ends before the first step
        int[] stops = [.. free.Take(4).Select(text => text.First(id => !firsts.Contains(id)))];
        options = options with { StopTokenIds = stops };
        // sees the rows of every step
        var widths = new List<long>();
        using var watch = new RowCounter(tiny.Model.Decoder, widths);
        IReadOnlyList<IReadOnlyList<int>> together = generator.Generate(prompts, options);
        Assert.Contains(together, row => row.Count < 20);
        widths.RemoveAt(0); // the prompts, which are packed
        Assert.Equal(8, widths[0]);
        Assert.True(widths[^1] <= 6, $"{widths[^1]} rows in the last step");
        Assert.Equal(widths.OrderDescending(), widths);
        Assert.True(widths.Count < 20, $"{widths.Count} steps");
        for (int row = 0; row < prompts.Length; row++)
            Assert.Equal(generator.Generate([prompts[row]], options)[0], together[row]);
    }

    private sealed class RowCounter : ISlotAdapter, IDisposable
    {
        private readonly AdapterSlot slot;
        private readonly List<long> rows;

        public RowCounter(Decoder model, List<long> rows)
        {
            (slot, this.rows) = (model.LinearLayers.First().Slot, rows);
            slot.Attach(this);
        }

        public Tensor Forward(Tensor input, InnerLayer inner, Generator? dropout)
        {
            rows.Add(input.shape[0]);
            return inner.Forward(input);
        }

        public void Dispose() => slot.Detach(this);
    }

    [Fact]
    public void A_seed_repeats_and_cancellation_stops_after_the_token_at_hand()
    {
        using TinyModel tiny = Model();
        var generator = new TextGenerator(tiny.Model.Decoder);
        var options = new GenerationOptions { MaxNewTokens = 10, Temperature = 1.5, Seed = 11 };
        IReadOnlyList<int> first = generator.Generate([[4, 5]], options)[0];
        Assert.Equal(first, generator.Generate([[4, 5]], options)[0]);
        Assert.NotEqual(first, generator.Generate([[4, 5]], options with { Seed = 12 })[0]);
        using var cancellation = new CancellationTokenSource();
        int made = 0;
        IReadOnlyList<int> cut =
            generator.Generate(
                [[4, 5]], options, (_, _) => { if (++made == 3) cancellation.Cancel(); }, cancellation.Token)[0];
        Assert.Equal(first.Take(3), cut);
    }

    [Theory]
    [InlineData(TinyModel.Llama, 64)]
    [InlineData(TinyModel.Gpt2, 12)]
    public void A_text_ends_where_it_fills_the_context_and_the_others_go_on(string config, int context)
    {
        using var tiny = new TinyModel(TinyModel.With(config, "initializer_range", 0.5));
        var generator = new TextGenerator(tiny.Model.Decoder);
        int[][] prompts =
            [[.. Enumerable.Range(0, context - 2)], [9, 3], [1, 2, 3, 4, 5],
            [.. Enumerable.Range(0, context).Select(i => i % 32)]];
        for (int row = 0; row < prompts.Length; row++) prompts[row] = [.. prompts[row].Select(token => token % 32)];
        var options = new GenerationOptions { MaxNewTokens = int.MaxValue };
        IReadOnlyList<IReadOnlyList<int>> together = generator.Generate(prompts, options);
        Assert.Equal([2, context - 2, context - 5, 0], together.Select(row => row.Count));
        Assert.Equal(
            [$"3 texts were ended early: the model's context holds {context} tokens, including the prompt.",
                $"1 prompt leaves no room for a text: the model's context holds {context} tokens, including " +
                "the prompt. Shorten it."],
            generator.Notes);
        var alone = new TextGenerator(tiny.Model.Decoder);
        for (int row = 0; row < prompts.Length; row++)
            Assert.Equal(alone.Generate([prompts[row]], options)[0], together[row]);
        // The longest may end by itself: the others have their own room all the same.
        int stop = together[0][0];
        IReadOnlyList<IReadOnlyList<int>> stopped =
            alone.Generate(prompts[..3], options with { StopTokenIds = [stop], MaxNewTokens = context - 3 });
        Assert.Empty(stopped[0]);
        for (int row = 1; row < 3; row++)
            Assert.Equal(together[row].Take(context - 3).TakeWhile(token => token != stop), stopped[row]);
        using var kept = new PrefixCache();
        Assert.Equal(together[1], alone.Continue(prompts[1], options, kept));
        Assert.Empty(alone.Continue(prompts[3], options, kept));
    }

    [Fact]
    public void Generating_leaves_no_tensors_behind()
    {
        using TinyModel tiny = Model();
        var generator = new TextGenerator(tiny.Model.Decoder);
        generator.Generate([[1], [2, 3]], new GenerationOptions { MaxNewTokens = 4 });
        long before = TorchSharp.DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        for (int i = 0; i < 3; i++) generator.Generate([[1], [2, 3]], new GenerationOptions { MaxNewTokens = 4 });
        Assert.Equal(before, TorchSharp.DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }

    [Theory]
    [InlineData("Ada  Lovelace\nwas born in 1815.", 2)]
    [InlineData("ada lovelace", 1)]
    [InlineData("", 0)]
    public void Stated_facts_are_counted(string text, int expected) =>
        Assert.Equal(expected, FactCheck.CountStated(text, ["Ada Lovelace", "born  in 1815", "analytical engine"]));
}
