using System.CommandLine;
using System.CommandLine.Help;
using LowRank.Cli;
using LowRank.Cli.Commands;
using LowRank.Cli.Common;

namespace LowRank.Tests.Cli;

/// <summary>Every option of every command says when it takes effect, and is refused where it takes none.</summary>
public sealed class OptionUseTests
{
    // A command line, and all that is wrong with its options.
    public static TheoryData<string, string[]> WithoutEffect => new()
    {
        { "generate --model . --prompt a --seed 7", ["--seed has no effect at --temperature 0"] },
        { "generate --model .", ["--prompt is missing: the text to continue; or --data"] },
        { "generate --model . --prompt a --n 2 --best --reward short",
            ["--n has no effect without --data", "--best has no effect without --data",
                "--reward has no effect without --data"] },
        { "generate --model . --prompt a --data . --json",
            ["--prompt and --data are both given", "--json has no effect with --data",
                "--data writes many texts; give the file with --output"] },
        { "generate --model . --data . --output o --n 0 --reward short",
            ["the number of completions is 0", "a reward is \"short\", expected \"regex: PATTERN\""] },
        { "generate --model . --prompt a --seed 42 --top-k 5 --top-p 0.5",
            ["--top-k has no effect at", "--top-p has no effect at", "--seed has no effect at"] },
        { "generate --model . --prompt a --max-new-tokens 0 --temperature -1 --device gpu --base-dtype fp8",
            ["--max-new-tokens is 0", "--temperature is -1", "--device: Unknown device 'gpu'",
                "--base-dtype is fp8, expected one of"] },
        { "generate --model . --prompt a --compute-dtype float16 --base-head nf4",
            ["--compute-dtype is float16, expected one of float32, bfloat16, auto",
            "--base-head is nf4, expected float32 or base"] },
        { "chat --model . --base-head base --base-dtype float32",
            ["--base-head has no effect with --base-dtype float32"] },
        { "merge --model . --adapter . --output o --compute-dtype auto",
            ["--compute-dtype has no effect: the changes are added to the weights in float32"] },
        { "merge --model . --adapter . --output o --type q8_0", ["--type has no effect: it is for --to gguf"] },
        { "merge --model . --adapter . --output o --to gguf --type q3_k --check a --dtype float32",
            ["--type is q3_k, expected one of f32, f16, bf16, q8_0, q4_0, q4_k_m, q6_k",
                "--check works with a merged folder", "--dtype has no effect with --to gguf"] },
        { "merge --model . --adapter . --output o --to onnx --type f16 --check a --dtype float32",
            ["--type has no effect: it is for --to gguf", "--check works with a merged folder; remove it, or --to onnx",
                "--dtype has no effect with --to onnx"] },
        { "merge --model . --adapter . --output o --to pt", ["--to is pt, expected safetensors, gguf or onnx"] },
        { "convert . --to mlx --output o --type f16 --as-lora --rank 2",
            ["--type has no effect: it is for --to gguf", "--as-lora has no effect", "--model is missing"] },
        { "convert . --to gguf --output o --type q5_1 --model .",
            ["--type is q5_1, expected one of f32", "--model has no effect: the source is a model"] },
        { "convert . --to gguf --output o --rank 2 --as-lora",
            ["--as-lora has no effect: it is for an adapter and --to gguf"] },
        { "convert . --to onnx_adapter --output o --type q8_0 --model .",
            ["--type is q8_0, expected one of f32, f16, bf16", "--model has no effect with --to onnx_adapter",
                ". is no adapter's folder; models become ONNX files with"] },
        { "export ollama --model . --output o --type q5_1 --separate --base-dtype nf4 --num-ctx 0 --template no/t",
            ["--type is q5_1, expected one of f32", "--separate needs one adapter without a weight",
                "--base-dtype has no effect: nothing is merged", "--num-ctx is 0, expected at least 1",
                "no/t does not exist; expected a file with a template"] },
        { "chat --model . --seed 7", ["--seed has no effect at --temperature 0"] },
        { "chat --model . --top-k 3", ["--top-k has no effect at --temperature 0"] },
        { "eval --model . --data . --max-new-tokens 5", ["--max-new-tokens has no effect without --generate"] },
        { "eval --model . --data . --limit 0 --output o --batch-size 0 --max-length 1",
            ["--output has no effect without --generate", "--limit has no effect without --generate",
                "--limit is 0, expected at least 1", "--batch-size is 0, expected at least 1",
                "--max-length is 1, expected at least 2"] },
        { "eval --model . --data . --generate --all-tokens", ["--all-tokens has no effect with --generate"] },
        { "eval --model . --data no/such.jsonl --adapter a --adapter b",
            ["--data: no/such.jsonl was not found",
            "--adapter: this command takes one adapter without a weight; found a, b",
            "--adapter is a, but there is no such folder", "--adapter is b, but"] },
        { "eval --model ./nothing --data .", ["--model is ./nothing, but there is no such folder"] },
        { "combine --adapter . --kind linear --output o --majority-sign total",
            ["--majority-sign has no effect with --kind linear, which elects no signs"] },
        { "combine --adapter . --kind linear --output o --majority-sign few",
            ["--majority-sign is few, expected total or frequency", "--majority-sign has no effect"] },
        { "combine --adapter . --kind ties --output o --seed 42 --rank 3 --scale-once",
            ["--seed has no effect with --kind ties", "--rank has no effect with --kind ties",
            "--scale-once has no effect"] },
        { "combine --adapter . --kind cat --output o --density 0.5",
            ["--density has no effect with --kind cat, which keeps all values"] },
        { "combine --adapter . --kind sum --output o --density 0.5", ["--kind is sum, expected one of cat"] },
        { "inspect . --plot p.svg", ["--plot plots an adapter's changes, but . is not an adapter folder"] },
        { "predict --model . --data . --batch-size 0 --max-new-tokens 0",
            ["--batch-size is 0", "--max-new-tokens is 0"] },
        { "data --examples 1 --set a=b",
            ["--set has no effect without a recipe", "expected a recipe, or --model and --data"] },
        { "data r.yaml --model m --data . --columns a=b",
            ["--model has no effect with a recipe", "--data has no effect with a recipe",
            "--columns has no effect with a recipe"] },
        { "predict --model . --data . --columns text --columns a=b --columns a=c --recipe no.yaml",
            ["--columns is text, expected FIELD=COLUMN", "--columns gives a twice",
            "--recipe is no.yaml, but there is no such file"] },
        { "data r.yaml --examples -1 --rows 0",
            ["--examples is -1, expected at least 0", "--rows is 0, expected at least 1"] },
        { "estimate r.yaml --seconds 1e308 --only all",
            ["--only is all, expected recipe or full",
            "--seconds is 1E+308, expected more than 0 and at most 86400, a day"] },
        { "estimate r.yaml --seconds NaN", ["--seconds is NaN, expected more than 0"] },
        { "convert . --to onnx --model . --output .",
            ["--model has no effect: the source is a model; remove it", ". is not empty; choose another --output"] },
        { "quantize --model . --to fp8 --output .", [". is not empty", "--to is fp8, expected"] },
        { "merge --model . --adapter . --output . --dtype int4",
            [". is not empty", "--dtype is int4, expected float32 or bfloat16"] },
        { "resize . --rank 0 --output o", ["--rank is 0, expected at least 1"] },
        { "extract --base . --tuned . --rank -1 --output o", ["--rank is -1, expected at least 1"] },
        { "serve --model . --port 70000 --adapter a --adapter b=./nothing --api-key-file no/keys " +
            "--adapter-root no",
            ["--port is 70000, expected 0 to 65535", "--adapter is a, expected NAME=FOLDER",
            "--adapter is b=./nothing, but there is no folder ./nothing", "--api-key-file is no/keys, but",
            "--adapter-root has no effect without --allow-adapter-loading",
            "--adapter-root is no, but there is no such folder"] },
        { "serve --model . --max-batch 0 --context 1 --max-queue 0 --max-adapters 0 --adapter-memory 0 --max-rank 0 " +
            "--allow-adapter-loading",
            ["--max-batch is 0, expected at least 1", "--context is 1, expected at least 2", "--max-queue is 0",
            "--max-adapters is 0", "--adapter-memory is 0", "--max-rank is 0",
            "--allow-adapter-loading needs --adapter-root"] },
        { "sweep r.yaml --grid a=1 --parallel 0", ["--parallel is 0, expected at least 1"] },
        { "tokenize --file f", ["Give either --model FOLDER or --tokenizer FILE"] },
        { "bench train --tf32", ["--tf32 has no effect with --device cpu; only NVIDIA GPUs have TF32"] },
        { "bench generate --rank 0 --targets q", ["--targets names q, but --rank 0 adapts nothing"] },
        { "bench growth weights --rows 64 --tokens 128",
            ["--rows has no effect unless rows grow",
            "--tokens has no effect unless tokens or length grows"] },
        { "bench attention --rounds 0 --threads 0", ["--rounds is 0", "--threads is 0, expected 1 to 1024"] },
        { "bench train --threads 2147483647", ["--threads is 2147483647, expected 1 to 1024"] },
        { "diff no/a no/b", ["no/a does not exist; expected an adapter's folder", "no/b does not exist"] },
        { "combine --adapter no/a:0.5 --adapter no/b --kind cat --output o --seed 1",
            ["--seed has no effect with --kind cat", "no/a does not exist", "no/b does not exist"] },
        { "extract --base no/a --tuned no/b --rank 0 --output o",
            ["--rank is 0", "no/a does not exist; expected a model's folder", "no/b does not exist"] },
        { "convert no/a --to mlx --model no/b --output no/c", ["no/a does not exist", "no/b does not exist"] },
        { "eval --model . --data no/1 --data no/2 --data no/3 --data no/4 --data no/5",
            ["--data: no/1 was not found", "--data: no/2", "--data: no/3", "--data: 2 more paths like these"] },
        { "bench quantized --base-dtype fp8", ["--base-dtype is fp8, expected one of"] },
    };

    [Fact]
    public void Every_option_of_every_command_declares_once_when_it_takes_effect()
    {
        int options = 0;
        foreach (Command command in All(Root()).Where(command => command.Subcommands.Count == 0))
        {
            var action = Assert.IsType<CommandAction>(command.Action);
            ILookup<string, OptionUse> uses = action.Uses.Where(use => use.SaysWhen)
                .SelectMany(use => use.Options.Select(option => (option.Name, use)))
                .ToLookup(pair => pair.Name, pair => pair.use);
            foreach (Option option in command.Options.Where(option => option is not HelpOption))
            {
                options++;
                Assert.True(uses[option.Name].Any(),
                    $"{option.Name} of {command.Name} has to say when it takes effect: OptionUse.Always, .With or " +
                    ".Unless behind the command's work");
            }
            foreach (IGrouping<string, OptionUse> declared in uses)
                Assert.Contains(command.Options, option => option.Name == declared.Key);
        }
        Assert.True(options > 100, $"only {options} options were seen");
    }

    [Theory]
    [MemberData(nameof(WithoutEffect))]
    public void What_has_no_effect_or_cannot_be_is_refused_all_at_once(string line, string[] expected)
    {
        IReadOnlyList<string> problems = Problems(line);
        Assert.Equal(expected.Length, problems.Count);
        Assert.All(expected,
            words => Assert.Contains(problems, problem => problem.StartsWith(words, StringComparison.Ordinal)));
    }

    [Theory]
    [InlineData("generate --model . --prompt a --top-k 0 --top-p 1")]
    [InlineData("generate --model . --prompt a --temperature 0.5 --top-k 5 --top-p 0.5 --seed 7")]
    [InlineData("eval --model . --data . --generate --max-new-tokens 5 --limit 3 --output o")]
    [InlineData("eval --model org/name --data -")]
    [InlineData(
        "combine --adapter . --kind dare_ties_svd --output o --density 0.5 --majority-sign frequency --seed 3 " +
        "--rank 4 --scale-once")]
    [InlineData("bench growth --rows 64 --tokens 128")]
    [InlineData("bench growth length --tokens 128")]
    public void What_takes_effect_is_accepted(string line) => Assert.Empty(Problems(line));

    private static IReadOnlyList<string> Problems(string line)
    {
        ParseResult parsed = Root().Parse(line.Split(' '));
        Assert.Empty(parsed.Errors);
        return OptionUse.Problems(((CommandAction)parsed.CommandResult.Command.Action!).Uses, parsed);
    }

    private static RootCommand Root()
    {
        var root = new RootCommand();
        foreach (ICliCommand command in CommandLineApplication.Commands()) root.Add(command.Build());
        return root;
    }

    private static IEnumerable<Command> All(Command command) =>
        command.Subcommands.SelectMany(All).Append(command).Where(one => one is not RootCommand);
}
