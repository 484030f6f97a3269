using LowRank.Adapters;
using LowRank.Kernels;
using LowRank.Kernels.Native;
using LowRank.Models;
using LowRank.Models.Layers;
using LowRank.Recipes;
using LowRank.Tests.Training;
using LowRank.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Tests.Recipes;

/// <summary>What a run measures before and after training, and at what cost.</summary>
public sealed class RunMeasurementTests : IDisposable
{
    private const int Rows = 60, Facts = 30;
    private readonly TemporaryFolder folder = new();

    public RunMeasurementTests()
    {
        File.WriteAllLines(
            folder["compared.jsonl"], File.ReadLines(Repository("samples/hotels/test.jsonl")).Take(Rows));
        File.WriteAllText(folder["recipe.yaml"], $$"""
        model: {{Repository("models/base")}}
        data: {train: {{Repository("samples/hotels/validation.jsonl")}}, cache: false}
        adapter: {rank: 2, target_modules: [q_proj]}
        training: {steps: 1, batch_size: 4, warmup_steps: 0}
        comparison:
          data: compared.jsonl
          facts: {{Facts}}
          generations: 1
          max_new_tokens: 3
        output: out
        """);
    }

    public void Dispose() => folder.Dispose();

    private static string Repository(string path) => Path.Combine(RepositoryFiles.Root, path);

    private RecipeRun Prepare() => RecipeRun.Prepare(RecipeRun.Load(folder["recipe.yaml"], []));

    [Fact]
    public void Progress_counts_every_row_once_and_ends_with_all()
    {
        using RecipeRun run = Prepare();
        var heard = new Heard();
        ComparisonSide side = run.Measure(heard)!;
        Assert.Equal(Facts * 6, side.Facts);
        Assert.All(heard.States, state => Assert.Equal(Rows + Facts, state.Rows));
        Assert.Equal(heard.States.Select(state => state.Done).Order(), heard.States.Select(state => state.Done));
        Assert.Equal(Rows + Facts, heard.States[^1].Done);
        // every token of a text in the making is heard of
        Assert.True(heard.States.Count > Facts, $"{heard.States.Count} reports");
    }

    [Fact]
    public void An_adapter_that_changes_nothing_rests_while_the_model_is_measured()
    {
        using RecipeRun run = Prepare();
        var counted = new Calls(run.Model.Network.LinearLayers.First(layer => layer.Slot.Adapters.Count > 0));
        Assert.True(run.Adapter!.ChangesNothing);
        ComparisonSide resting = run.Measure()!;
        Assert.True(run.Adapter.IsAttached);
        Assert.Equal(0, counted.Adapted);
        Assert.InRange(counted.Base, 1, 40); // batches of the loss, a prompt and two steps for all texts together

        run.Train(new Recorder());
        Assert.False(run.Adapter.ChangesNothing);
        ComparisonSide trained = run.Measure()!;
        Assert.NotEqual(resting.Loss, trained.Loss);
    }

    [Fact]
    public void Resting_gives_the_numbers_that_the_attached_adapter_gives()
    {
        using RecipeRun run = Prepare();
        var lora = run.Adapter!.Layers.Values.Cast<LoraLayer>().First();
        ComparisonSide resting = run.Measure()!;
        using (no_grad()) lora.B[0, 0].fill_(Number(float.Epsilon)); // too small to matter, and no zero
        Assert.False(run.Adapter.ChangesNothing);
        ComparisonSide attached = run.Measure()!;
        Assert.Equal(resting.Loss, attached.Loss);
        Assert.Equal(resting.Texts, attached.Texts);
    }

    [Fact]
    public void Libtorch_is_loaded_by_the_time_a_recipe_is_read_and_also_if_it_is_wrong()
    {
        File.WriteAllText(folder["wrong.yaml"], "modle: base");
        Assert.Contains("modle", Assert.ThrowsAny<InputException>(
            () => RecipeRun.Load(folder["wrong.yaml"], [])).Message);
        Assert.True(NativeRuntime.IsLoaded);
        Assert.Equal(1, RecipeRun.Load(folder["recipe.yaml"], []).Training.Steps);
    }

    private sealed class Heard : IProgress<(int Done, int Rows)>
    {
        public List<(int Done, int Rows)> States { get; } = [];

        public void Report((int Done, int Rows) value) => States.Add(value);
    }

    // Sits below and above the layer's adapter.
    private sealed class Calls : ISlotAdapter
    {
        private readonly Linear layer;

        public Calls(Linear layer)
        {
            this.layer = layer;
            layer.Slot.Attach(this);
        }

        public int Base { get; private set; }

        public int Adapted { get; private set; }

        public Tensor Forward(Tensor input, InnerLayer inner, Generator? dropout)
        {
            if (layer.Slot.Adapters.Count > 1) Adapted++;
            else Base++;
            return inner.Forward(input);
        }
    }
}
