using LowRank.Adapters;
using LowRank.Data;
using LowRank.Generation;
using LowRank.Models;
using LowRank.Tokenizers;
using LowRank.Training;

using PretrainedModel model = PretrainedModel.Open("models/base");
Tokenizer tokenizer = Tokenizer.Load(model.Folder);
LoadedExamples data = ExampleLoader.Load(["samples/hotels/train.jsonl"], tokenizer, new ExampleOptions { MaxLength = 256 });

var config = new LoraConfig { Rank = 16, Alpha = 32, TargetModules = ModuleSelection.AllLinear };
using Adapter adapter = Adapter.Create(model, config, seed: 42);
adapter.Attach();
var options = new TrainerOptions { Steps = 40, BatchSize = 16, LearningRate = 5e-3 };
new Trainer(model.Decoder, new TrainedAdapter(adapter), options, "runs/library", new ObserverGroup()).Run(data.Examples, []);

int[] prompt = PromptEncoding.Prompt(tokenizer, "name: The Blue Lamp | type: hotel | area: old town | price: 85\n");
var settings = new GenerationOptions { MaxNewTokens = 60, StopTokenIds = model.Generation.EosTokenIds };
Console.WriteLine(tokenizer.Decode(new TextGenerator(model.Decoder).Generate([prompt], settings)[0]));
