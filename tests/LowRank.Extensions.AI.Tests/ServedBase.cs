using System.Text.Json.Nodes;
using LowRank.Adapters;
using LowRank.Extensions.AI.Tests;
using LowRank.Serving;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.DependencyInjection;

[assembly: AssemblyFixture(typeof(ServedBase))]

namespace LowRank.Extensions.AI.Tests;

/// <summary>The repository's base with a chat template that knows tools, two adapters that answer differently and one
/// that embeds; and a program's services on them.</summary>
public sealed class ServedBase : IAsyncLifetime
{
    // As Qwen's, without its words.
    private const string Template = """
        {%- if tools %}
        {{- '<|im_start|>system\n' }}
        {%- for tool in tools %}{{- (tool | tojson) + '\n' }}{%- endfor %}
        {{- '<|im_end|>\n' }}
        {%- endif %}
        {%- for message in messages %}
        {%- if message.role == 'tool' %}
        {{- '<|im_start|>user\n<tool_response>\n' + message.content + '\n</tool_response><|im_end|>\n' }}
        {%- elif message.tool_calls %}
        {{- '<|im_start|>assistant' }}
        {%- if message.content %}{{- '\n' + message.content }}{%- endif %}
        {%- for call in message.tool_calls %}
        {{- '\n<tool_call>\n{"name": "' + call.function.name + '", "arguments": ' }}
        {{- call.function.arguments | tojson }}
        {{- '}\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>\n' }}
        {%- else %}
        {{- '<|im_start|>' + message.role + '\n' + (message.content or '') + '<|im_end|>\n' }}
        {%- endif %}
        {%- endfor %}
        {%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{%- endif %}
        """;

    private readonly TemporaryFolder folder = new();

    /// <summary>The names of the adapters that write.</summary>
    public static string[] Writers { get; } = ["hotels", "sights"];

    public static LanguageModelOptions Opening { get; } = new() { Threads = 1 };

    public static ServingOptions Serving { get; } = new() { MaxBatch = 4, CacheBytes = 64 << 20 };

    public string Folder => folder["model"];

    public string this[string name] => folder[name];

    public ServiceProvider Services { get; private set; } = null!;

    /// <summary>The client of the base, or of an adapter.</summary>
    public IChatClient Client(string name = "model") => Services.GetRequiredKeyedService<IChatClient>(name);

    public IEmbeddingGenerator<string, Embedding<float>> Embedder(string name = "model") =>
        Services.GetRequiredKeyedService<IEmbeddingGenerator<string, Embedding<float>>>(name);

    /// <summary>Services as a program has them.</summary>
    public IServiceCollection Program() => new ServiceCollection().AddLowRank(Folder, options =>
    {
        options.Opening = Opening;
        options.Serving = Serving;
        foreach (string name in Writers) options.AddAdapter(name, folder[name]);
        options.AddAdapter("search", folder["search"]);
    });

    public async ValueTask InitializeAsync()
    {
        Directory.CreateDirectory(Folder);
        string own = Path.Combine(RepositoryFiles.Root, "models", "base");
        foreach (string name in new[]
            { "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json" })
            File.Copy(Path.Combine(own, name), Path.Combine(Folder, name));
        JsonObject config = JsonNode.Parse(await File.ReadAllTextAsync(Path.Combine(own, "config.json")))!.AsObject();
        config["max_position_embeddings"] = 4096; // declarations of tools are long
        await File.WriteAllTextAsync(Path.Combine(Folder, "config.json"), config.ToJsonString());
        await File.WriteAllTextAsync(Path.Combine(Folder, "chat_template.jinja"), Template);
        await Train();
        Services = Program().BuildServiceProvider();
    }

    public async ValueTask DisposeAsync()
    {
        await Services.DisposeAsync();
        folder.Dispose();
    }

    private async Task Train()
    {
        await using LanguageModel model = await LanguageModel.LoadAsync(Folder, Opening);
        var lora = new LoraConfig { Rank = 4, Alpha = 8, TargetModules = ModuleSelection.AllLinear };
        var training = new TrainingOptions { Steps = 6, BatchSize = 4, LearningRate = 0.02 };
        foreach (string name in Writers)
        {
            Dataset talks = Dataset.From(Enumerable.Range(0, 8).Select(number => new
            {
                messages = new[]
                {
                    new { role = "user", content = $"Where is number {number}?" },
                    new { role = "assistant", content = $"The {name} are near the river, at number {number}." },
                },
            }));
            await (await model.AdaptAsync(talks, lora, training)).Adapter.SaveAsync(folder[name]);
        }
        Dataset pairs = Dataset.From(new[]
        {
            new { text = "a place to sleep", positive = "hotel" },
            new { text = "a thing to eat", positive = "bread" },
            new { text = "an animal that barks", positive = "dog" },
            new { text = "a way to cross", positive = "bridge" },
        });
        await (await model.AdaptAsync(pairs, lora, training with { Task = TaskOptions.Embedding })).Adapter
            .SaveAsync(folder["search"]);
    }
}
