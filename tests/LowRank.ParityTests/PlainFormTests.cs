using LowRank.Kernels;
using LowRank.ParityTests.Adapters;
using LowRank.ParityTests.Data;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.ParityTests;

/// <summary>Runs the reference cases with the plain form of every operation, in a process of their own.</summary>
public sealed class PlainFormTests
{
    private const int Fewest = 500; // of some 700: a filter that leaves most of them out is noticed

    private static readonly Type[] LeftOut =
    [
        typeof(PlainFormTests),
        // They compare two devices.
        typeof(DeviceTests),
        // What they hold is promised of the fast form.
        typeof(RowIndependenceTests), typeof(PagedIndependenceTests),
        // They compute with no kernel: texts, names, configs and numbers of metrics.
        typeof(ConfigAttackTests), typeof(LoraConfigFileTests), typeof(MetricsParityTests), typeof(ModelsPageTests),
        typeof(PeftTargetTests), typeof(PythonTextTests), typeof(TaskRowTests), typeof(TrainedTokensParityTests),
        // They take long, and what they do with the kernels the reference cases of methods do too.
        typeof(AdapterInvariantTests), typeof(MethodPropertyTests),
    ];

    [Fact]
    public async Task The_reference_cases_hold_in_the_plain_form()
    {
        int ran = await TestProcess.Run(LeftOut.SelectMany(type => new[] { "-class-", type.FullName! }),
            new Dictionary<string, string> { [KernelForm.Variable] = "plain" });
        Assert.InRange(ran, Fewest, int.MaxValue);
    }
}

/// <summary>Whether this process runs the form that its environment asks for; run in both.</summary>
public sealed class KernelVariableTests
{
    [Fact]
    public void The_plain_form_multiplies_with_the_weight_itself_and_the_fast_one_asks_for_a_product()
    {
        using var scope = NewDisposeScope();
        bool isPlain = Environment.GetEnvironmentVariable(KernelForm.Variable) == "plain";
        var weight = new CountedMatrix(ones(3, 4));
        LowRankLinear.Base(ones(2, 4), weight, null);
        Assert.Equal(isPlain ? (1, 0) : (0, 1), (weight.Expansions, weight.Products));
    }

    private sealed class CountedMatrix(Tensor weight) : IWeightMatrix
    {
        public int Expansions { get; private set; }

        public int Products { get; private set; }

        public long Inputs => weight.shape[1];

        public long Outputs => weight.shape[0];

        public bool IsPacked => true;

        public bool TakesGradient => false;

        public Tensor Plain(Tensor input, Tensor? bias) => nn.functional.linear(input, Dense(), bias);

        public void Write(Tensor result, Tensor rows) => result.copy_(Product(rows, null));

        public void WriteBack(Tensor result, Tensor gradient) => result.copy_(BackProduct(gradient));

        public Tensor Dense()
        {
            Expansions++;
            return weight;
        }

        public Tensor Product(Tensor input, Tensor? bias)
        {
            Products++;
            return matmul(input, weight.t());
        }

        public Tensor StepProduct(Tensor input, Tensor? bias) => Product(input, bias);

        public Tensor BackProduct(Tensor gradient) => throw new NotSupportedException();
    }
}
