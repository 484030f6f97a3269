using LowRank.Adapters;
using LowRank.Data;
using LowRank.Data.Packing;
using LowRank.Models;
using LowRank.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.ParityTests;

/// <summary>Packed rows and shared prompts against the padded batch and against each row alone.</summary>
public sealed class PackingTests
{
    // Of float32 sums in another order: relative to the loss, and to the largest entry of each gradient.
    private const double Tolerance = 2e-5;

    private static readonly RowBatching Padded = new() { Packing = false };
    private static readonly RowBatching Packed = new() { SharePrompts = PromptSharing.Off };
    private static readonly RowBatching Shared = new() { SharePrompts = PromptSharing.InStep };

    public static TheoryData<string> Families => [.. Golden.Decoders, .. Golden.Settings];

    public static TheoryData<string, string> Prompts
    {
        get
        {
            var cases = new TheoryData<string, string>();
            foreach (string family in (string[])["llama", "gpt2", "opt", "mistral", "gemma3", "bloom", "granite"])
            {
                cases.Add(family, "prompt_tuning");
                cases.Add(family, "prefix_tuning");
            }
            return cases;
        }
    }

    [Theory, MemberData(nameof(Families))]
    public void Losses_and_gradients_are_those_of_padded_rows_and_of_each_row_alone(string family)
    {
        using var golden = new Golden(family);
        using Adapter adapter =
            Adapter.Create(
                golden.Model, new LoraConfig { Rank = 3, Alpha = 1, TargetModules = ModuleSelection.AllLinear,
                InitLoraWeights = InitialWeights.False }, seed: 1);
        adapter.Attach();
        Compare(golden.Model.Decoder, adapter, Rows(golden));
    }

    // A padded position whose window holds padding alone has nothing to see.
    [Theory, InlineData("gemma2"), InlineData("mistral"), InlineData("qwen2_windows")]
    public void Padding_longer_than_a_window_changes_no_row(string family)
    {
        using var golden = new Golden(family);
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        Tensor ids = golden.Read("input_ids").narrow(0, 0, 1),
            expected = golden.Model.Decoder.Forward(ids.narrow(1, 0, 4));
        Tensor mask = cat([ones(1, 4, ScalarType.Int64, ids.device), zeros(1, 20, ScalarType.Int64, ids.device)], 1);
        Assert.InRange(
            Golden.LargestDeviation(golden.Model.Decoder.Forward(ids, mask).narrow(1, 0, 4), expected), 0, 1e-5);
    }

    [Theory, MemberData(nameof(Prompts))]
    public void Trained_prompts_stand_before_each_row(string family, string methodName)
    {
        using var golden = new Golden(family);
        IAdapterMethod method =
            AdapterMethods.Get(methodName).With(new Dictionary<string, object?> { ["virtual_tokens"] = 5 });
        using Adapter adapter = Adapter.Create(golden.Model, method.Configure(new LoraConfig()), seed: 1);
        adapter.Attach();
        Compare(golden.Model.Decoder, adapter, Rows(golden));
    }

    [Theory, InlineData("llama"), InlineData("gpt2"), InlineData("mistral"), InlineData("gemma2"), InlineData("qwen2")]
    public void A_row_changes_nothing_in_another_exactly(string family)
    {
        using var golden = new Golden(family);
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        TokenizedExample[] rows = Rows(golden);
        foreach (RowBatching batching in (RowBatching[])[Packed, Shared])
        {
            (Tensor before, PackedRows pack) = Logits(golden.Model.Decoder, rows, batching);
            // Another token at the end of the first row: only predictions after it may change.
            int[] ids = [.. rows[0].InputIds];
            ids[^2] = (ids[^2] + 7) % 50;
            (Tensor after, PackedRows changed) =
                Logits(golden.Model.Decoder, [new TokenizedExample(ids, rows[0].Labels), .. rows[1..]], batching);
            Assert.Equal(pack.Segments.Select(segment => segment.Tokens),
                changed.Segments.Select(segment => segment.Tokens));
            int[] differing = [.. Enumerable.Range(0, (int)before.shape[0]).Where(i => !Same(before[i], after[i]))];
            Assert.Equal(1, pack.InputIds.Zip(changed.InputIds).Count(pair => pair.First != pair.Second));
            int place = pack.InputIds.Zip(changed.InputIds).ToList().FindIndex(pair => pair.First != pair.Second);
            Assert.Equal([place], differing); // the row's last computed token predicts anew, and nothing else
        }
    }

    [Fact]
    public void What_is_not_a_number_stays_in_its_row()
    {
        using var golden = new Golden("llama");
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        TokenizedExample[] rows = Rows(golden);
        int poison = Enumerable.Range(0, 50).First(id => rows.All(row => !row.InputIds.Contains(id)));
        int[] ids = [poison, .. rows[1].InputIds[1..]];
        rows = [.. rows, new TokenizedExample(ids, ids)];
        (Tensor before, PackedRows pack) = Logits(golden.Model.Decoder, rows, Shared);
        golden.Model.Decoder.TokenEmbedding.Weight[poison].fill_(Number(float.NaN));
        (Tensor after, PackedRows _) = Logits(golden.Model.Decoder, rows, Shared);
        int start = pack.InputIds.ToList().IndexOf(poison);
        for (int i = 0; i < pack.InputIds.Count; i++)
        {
            if (i >= start && i < start + ids.Length - 1) Assert.True(after[i].isnan().all().item<bool>());
            else Assert.True(Same(before[i], after[i]));
        }
    }

    [Theory, InlineData("rope_dynamic"), InlineData("phi3_longrope")]
    public void Rope_that_depends_on_the_longest_row_is_padded_and_said(string family)
    {
        using var golden = new Golden(family);
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        TokenizedExample[] rows = Rows(golden);
        Assert.Contains(rows, row => row.Length > 16);
        var packing = new CausalObjective(golden.Model.Decoder, Shared);
        Assert.Contains("longer than 16 tokens", packing.Obstacle(rows));
        Assert.Equal(new CausalObjective(golden.Model.Decoder, Padded).Sum(rows, null).item<float>(),
            packing.Sum(rows, null).item<float>());
        Assert.Equal(rows.Chunk(2), packing.Arranger.MicroBatches(rows, 2));
        TokenizedExample[] shorter = [.. rows.Where(row => row.Length <= 16)];
        Assert.True(shorter.Length > 1);
        Assert.Null(packing.Obstacle(shorter));
        Near(new CausalObjective(golden.Model.Decoder, Padded).Sum(shorter, null), packing.Sum(shorter, null), family);
    }

    [Fact]
    public void Rows_with_padding_of_their_own_are_padded_beside_packed_ones()
    {
        using var golden = new Golden("llama");
        using Adapter adapter =
            Adapter.Create(golden.Model, new LoraConfig { Rank = 3, InitLoraWeights = InitialWeights.False }, seed: 1);
        adapter.Attach();
        TokenizedExample[] rows = [.. Rows(golden)];
        rows[2] = rows[2] with { AttentionMask = [0, 0, .. Enumerable.Repeat(1, rows[2].Length - 2)] };
        rows[4] = rows[4] with { AttentionMask = [.. Enumerable.Repeat(1, rows[4].Length)] };
        Assert.StartsWith(
            $"1 of {rows.Length} rows have padding of their own", new CausalObjective(golden.Model.Decoder)
            .Obstacle(rows));
        Compare(golden.Model.Decoder, adapter, rows);
    }

    [Theory, InlineData("gpt2"), InlineData("qwen2")]
    public void Dropout_repeats_with_its_seed_and_has_the_mean_of_padded_rows(string family)
    {
        using var golden = new Golden(family);
        using Adapter adapter =
            Adapter.Create(
                golden.Model, new LoraConfig { Rank = 3, Dropout = 0.3, TargetModules = ModuleSelection.AllLinear,
                InitLoraWeights = InitialWeights.False }, seed: 1);
        adapter.Attach();
        using var noGradient = no_grad();
        TokenizedExample[] rows = Rows(golden);
        double[] Losses(RowBatching batching)
        {
            using Generator random = new Generator().manual_seed(7);
            return [.. Enumerable.Range(0, 100)
                .Select(_ => { using Tensor sum = new CausalObjective(golden.Model.Decoder, batching)
                .Sum(rows, random); return (double)sum.item<float>(); })];
        }
        double[] padded = Losses(Padded);
        foreach (RowBatching batching in (RowBatching[])[Packed, Shared])
        {
            double[] losses = Losses(batching);
            Assert.Equal(losses, Losses(batching));
            Assert.True(losses.Distinct().Count() > 60);
            double error = Math.Sqrt((Variance(losses) + Variance(padded)) / losses.Length);
            Assert.InRange(Math.Abs(losses.Average() - padded.Average()), 0, 4 * error);
        }
    }

    internal static double Variance(double[] values)
    {
        double mean = values.Average();
        return values.Sum(value => (value - mean) * (value - mean)) / (values.Length - 1);
    }

    /// <summary>Rows of the case's tokens: alone, with equal prompts, one a beginning of another, one twice, one that
    /// predicts nothing.</summary>
    internal static TokenizedExample[] Rows(Golden golden)
    {
        int[][] texts =
            [.. Enumerable.Range(0, 3)
            .Select(row => golden.Read("input_ids")[row].cpu().data<long>().Select(id => (int)id).ToArray())];
        static TokenizedExample Row(int[] ids, int prompt) =>
            new(ids, [.. ids.Select((id, i) => i < prompt ? TokenizedExample.Ignored : id)]);
        int[] prompt = texts[0][..10];
        TokenizedExample twice = Row([.. prompt, .. texts[1][..5]], 10);
        return
        [
            Row([.. prompt, .. texts[2][3..12]], 10), Row(texts[1][..13], 4), Row([.. prompt, .. texts[2][..5]], 10),
                twice, Row(texts[2][..13], 0),
            Row([.. prompt, .. texts[1][..3]], 10), Row(texts[1][..2], 1), twice, Row(texts[2][..9], 9),
                Row(texts[0][..22], 12),
            Row(texts[1][..6], 3) with { Labels = [-100, texts[1][1], -100, texts[1][3], -100, -100] },
        ];
    }

    private static void Compare(Decoder model, Adapter adapter, TokenizedExample[] rows)
    {
        using var scope = NewDisposeScope();
        (Tensor loss, Tensor[] gradients) = Gradients(model, adapter, Padded, [rows]);
        Assert.Empty(adapter.Weights.Zip(gradients).Where(pair => pair.Second.abs().max().item<float>() == 0)
            .Select(pair => pair.First.Key));
        foreach ((string name, RowBatching batching, TokenizedExample[][] batches) in (
            ReadOnlySpan<(string, RowBatching, TokenizedExample[][])>)
            [("alone", Padded, [.. rows.Where(row => row.PredictedLabels > 0).Select(row => new[] { row })]),
                ("packed", Packed, [rows]), ("shared", Shared, [rows])])
        {
            (Tensor found, Tensor[] foundGradients) = Gradients(model, adapter, batching, batches);
            Near(loss, found, name);
            for (int i = 0; i < gradients.Length; i++)
                Near(gradients[i], foundGradients[i], $"{name}: {adapter.Weights[i].Key}");
        }
    }

    private static (Tensor Loss, Tensor[] Gradients) Gradients(
        Decoder model, Adapter adapter, RowBatching batching, TokenizedExample[][] batches)
    {
        var objective = new CausalObjective(model, batching);
        Tensor loss = zeros([]);
        Tensor[] weights = [.. new TrainedAdapter(adapter).Weights.Select(weight => weight.Value)];
        foreach (Tensor weight in weights) weight.grad = null;
        foreach (TokenizedExample[] rows in batches)
        {
            Tensor sum = objective.Sum(rows, null);
            sum.backward();
            loss = loss.Plus(sum.detach());
        }
        return (loss, [.. weights.Select(weight => weight.grad!.clone())]);
    }

    private static (Tensor Logits, PackedRows Rows) Logits(Decoder model, TokenizedExample[] rows, RowBatching batching)
    {
        PackedRows pack = PackedRows.Create(rows, batching.Shares);
        TensorBatch batch = TensorBatch.Create(pack, model.Device);
        return (model.Logits(model.Hidden(batch.Tokens, packed: batch.Packed))[0], pack);
    }

    private static bool Same(Tensor a, Tensor b) => (a == b).all().item<bool>();

    private static void Near(Tensor expected, Tensor found, string what)
    {
        double most = (expected - found).abs().max().item<float>(), size = expected.abs().max().item<float>();
        Assert.True(most <= Tolerance * size, $"{what}: differs by {most:e2}, its largest entry is {size:e2}");
    }
}
