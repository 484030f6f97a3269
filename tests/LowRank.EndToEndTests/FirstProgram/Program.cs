// What a user writes first: adapts the embedded base for a few steps and prints what it says then.
using LowRank.Adapters;
using LowRank.Data;
using LowRank.Generation;
using LowRank.IO;
using LowRank.Models;
using LowRank.Tokenizers;
using LowRank.Training;

using PretrainedModel model = PretrainedModel.Open(EmbeddedFiles.Model);
Tokenizer tokenizer = Tokenizer.Load(model.Folder);
LoadedExamples data = ExampleLoader.Load(
    [EmbeddedFiles.TrainingRows], tokenizer, new ExampleOptions { MaxLength = 256 });
using Adapter adapter = Adapter.Create(
    model, new LoraConfig { Rank = 16, Alpha = 32, TargetModules = ModuleSelection.AllLinear }, seed: 42);
adapter.Attach();
var options = new TrainerOptions { Steps = 5, BatchSize = 8, LearningRate = 5e-3 };
new Trainer(model.Decoder, new TrainedAdapter(adapter), options, "hotels", new ObserverGroup()).Run(data.Examples, []);
int[] prompt = PromptEncoding.Prompt(tokenizer, "name: The Blue Lamp | type: hotel | area: old town | price: 85\n");
IReadOnlyList<int> said = new TextGenerator(model.Decoder).Generate([prompt], new GenerationOptions { MaxNewTokens = 20 })[0];
Console.WriteLine("said: " + tokenizer.Decode(said));
